//! Two writers that keep undoing each other, as the history of a record tells it: whichever process wrote, and whenever.

use crate::data::ids::SystemName;
use crate::data::time::Timestamp;
use crate::data::value::Digest;
use crate::history::{Body, IntegrationEvent};
use crate::record::Record;
use crate::record::intent::content_digest;
use std::collections::BTreeMap;

/// How often the same content was written to a system's copy since a time, each time after the system had changed the
/// record again. A person who resolves the loop begins the count anew.
///
/// The events are those of one record, in order; the content is the digest of operation and fields. Edits that are made back
/// and forth in another system are no corrections, because the system itself changes nothing then.
pub fn corrections(
    events: &[IntegrationEvent],
    system: &SystemName,
    content: &Digest,
    since: Timestamp,
) -> u32 {
    let mut planned: BTreeMap<&str, bool> = BTreeMap::new();
    let mut corrections = 0;
    // How many changes the system had made when the content was last written.
    let mut written_after: Option<u64> = None;
    for event in events {
        if let Body::IntentPlanned { system: to, key, operation, fields, .. } = &event.body
            && to == system
        {
            planned.insert(key, content_digest(*operation, fields) == *content);
        } else if let Body::IntentConfirmed { system: to, key, .. } = &event.body
            && to == system
        {
            let is_it = planned.get(key.as_str()).copied().unwrap_or_default();
            if is_it && event.recorded_at >= since {
                let changes = event.vector.get(system);
                corrections += u32::from(written_after.is_some_and(|before| changes > before));
                written_after = Some(changes);
            }
        } else if let Body::Released { system: of } = &event.body
            && of == system
        {
            (corrections, written_after) = (0, None);
        }
    }
    corrections
}

/// Whether a planned write may be one of such a loop: a value that it carries stood in its field before.
pub fn is_return(record: &Record, system: &SystemName) -> bool {
    let (Some(intent), Some(copy)) = (record.intents.get(system), record.copies.get(system)) else {
        return false;
    };
    intent.fields.iter().any(|(field, outgoing)| {
        let shadow = copy.fields.get(field);
        shadow.is_some_and(|shadow| {
            let digest = outgoing.value.digest();
            shadow.wrote == Some(digest) || shadow.older.contains(&digest)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ids::{EntityName, RecordId};
    use crate::data::value::Value;
    use crate::data::version::Dot;
    use crate::history::ConfirmedBy;
    use crate::record::intent::{Operation, OutgoingField};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(minute * 60_000)
    }

    fn fields(name: &str) -> BTreeMap<crate::data::ids::FieldName, OutgoingField> {
        let dot = Dot { system: "app".into(), n: 1 };
        BTreeMap::from([("name".into(), OutgoingField { value: Value::text(name), dot })])
    }

    /// A story in which each letter is an event of the CRM, a minute apart: `a` and `b` write and confirm that name, `!` is a
    /// change of its own, and `r` a person who resolves the loop.
    fn story(letters: &str) -> Vec<IntegrationEvent> {
        let system = SystemName::new("crm");
        let mut record = Record::new(RecordId::new("r"), EntityName::new("customer"));
        let mut events = Vec::new();
        for (minute, letter) in (0..).zip(letters.chars()) {
            let key = format!("k{minute}");
            let (to, confirmed) = (system.clone(), system.clone());
            let plan = |name: &str| {
                vec![
                    Body::IntentPlanned {
                        system: to,
                        key: key.clone(),
                        operation: Operation::Update,
                        fields: fields(name),
                        correction: false,
                    },
                    Body::IntentConfirmed {
                        system: confirmed,
                        key: key.clone(),
                        by: ConfirmedBy::Receipt,
                        fields: BTreeMap::new(),
                        order: None,
                        version: None,
                    },
                ]
            };
            let bodies = match letter {
                'a' => plan("Ann"),
                'b' => plan("Bea"),
                'r' => vec![Body::Released { system: system.clone() }],
                _ => {
                    let dot = record.vector.next(&system);
                    record.vector.add(&dot);
                    Vec::new()
                }
            };
            for body in bodies {
                let context = crate::history::Context { received_at: at(minute), ..Default::default() };
                let mut chronicle =
                    crate::history::chronicle::Chronicle::new(record.clone(), context, at(minute));
                chronicle.push(body);
                events.extend(chronicle.events().iter().cloned());
            }
        }
        events
    }

    #[test]
    fn what_is_written_again_after_a_change_of_the_system_is_counted() {
        let content = content_digest(Operation::Update, &fields("Ann"));
        let count =
            |letters: &str, since: i64| corrections(&story(letters), &"crm".into(), &content, at(since));
        for (letters, since, expected) in [
            ("", 0, 0),
            ("a", 0, 0),
            ("aa", 0, 0),
            ("a!a", 0, 1),
            ("a!b!a", 0, 1),
            ("b!b!b", 0, 0),
            ("a!a!a!a", 0, 3),
            ("a!a!a!a", 3, 1),
            ("a!a!ra!a", 0, 1),
        ] {
            assert_eq!(count(letters, since), expected, "{letters} since {since}");
        }
        assert_eq!(corrections(&story("a!a"), &"app".into(), &content, at(0)), 0);
    }
}
