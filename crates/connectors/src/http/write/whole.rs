//! The body of an update that replaces the whole copy: what was read, with the changed fields in it.

use crate::http::answer::reply::Reply;
use crate::http::declare::prepared::Object;
use avowal_core::data::value::Value;
use avowal_engine::ports::connector::Fields;

/// The copy as the service showed it, with `fields` in the place of what stood there.
pub(crate) fn whole_body(object: &Object, reply: &Reply, fields: &Fields) -> Result<Vec<u8>, String> {
    let raw = reply.at(&object.record_at()).ok_or("the copy was not shown before the write")?;
    let mut copy = Value::parse(raw.get().as_bytes()).map_err(|error| error.to_string())?;
    for name in &object.spec.update.read_only {
        if let Value::Object(members) = &mut copy {
            members.remove(name);
        }
    }
    let mut held = &mut copy;
    for step in object.spec.fields_at.as_deref().unwrap_or("").split('/').skip(1) {
        let Value::Object(members) = held else { return Err("the copy is no JSON object".to_owned()) };
        held = members.entry(step.to_owned()).or_insert_with(|| Value::Object(Fields::new()));
    }
    let Value::Object(members) = held else { return Err("the copy is no JSON object".to_owned()) };
    members.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(key) = &object.spec.wrap {
        copy = Value::Object([(key.clone(), copy)].into());
    }
    Ok(copy.to_json().into_bytes())
}
