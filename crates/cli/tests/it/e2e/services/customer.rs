//! A customer as the long runs know it: an email that is never edited, and four texts.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields beside the email.
pub const FIELDS: [&str; 4] = ["name", "stage", "phone", "note"];

/// The texts by field; a field that is not set is not there.
pub type Customer = BTreeMap<&'static str, String>;

/// One person's edit: whose customer it is, and what was written; `None` clears a field.
pub type Edit = (String, Vec<(&'static str, Option<String>)>);

/// All customers of one side by email, each with its id there.
pub type Side = BTreeMap<String, (String, Customer)>;

/// Reads all objects of one side. Two with one email fail the test: a duplicate.
#[track_caller]
pub fn read_side(what: &str, objects: &[Value], named: fn(&'static str) -> &'static str) -> Side {
    let mut side = Side::new();
    for object in objects {
        let text = |name: &str| object[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let fields = FIELDS.iter().filter_map(|field| Some((*field, text(named(field))?))).collect();
        let id = match &object["id"] {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        };
        let email = text("email").unwrap_or_else(|| panic!("{what}: a customer without email: {object}"));
        let before = side.insert(email.clone(), (id, fields));
        assert!(before.is_none(), "{email} is doubled in {what}");
    }
    side
}

/// Fields as one side's own names.
pub fn remote(fields: &Customer, named: fn(&'static str) -> &'static str) -> Map<String, Value> {
    fields.iter().map(|(field, text)| (named(field).to_owned(), Value::from(text.clone()))).collect()
}
