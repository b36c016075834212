//! What a planned write would do to a copy, as guards count it.
//!
//! Only what takes the place of something counts: a field on which the copy and the belief had agreed before, and that now
//! gets another belief. What is filled in, what a first link settles, and what puts back a value that the copy had seen,
//! loses nothing.

use crate::data::ids::{FieldName, SystemName};
use crate::data::value::Value;
use crate::record::Record;
use crate::record::intent::Operation;
use std::fmt;
use std::str::FromStr;

/// How many hexadecimal digits of a value's digest are kept: guards only ask whether many values are the same.
const DIGITS: usize = 16;

/// One thing that a write does, as it is counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// A write was sent, whatever came of it.
    Sent,
    /// A copy was removed.
    Deleted,
    /// A copy was made again that the system had held before.
    MadeAgain,
    /// A copy is changed in what it had agreed to.
    Changed,
    /// A filled field is emptied.
    Blanked(FieldName),
    /// A filled field gets another value.
    Replaced(FieldName),
    /// A filled field gets this value, by the first digits of its digest. Numbers and truths are not counted by value.
    SetTo(FieldName, String),
}

/// The name in tables.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Sent => f.write_str("sent"),
            Effect::Deleted => f.write_str("deleted"),
            Effect::MadeAgain => f.write_str("made_again"),
            Effect::Changed => f.write_str("changed"),
            Effect::Blanked(field) => write!(f, "blanked {field}"),
            Effect::Replaced(field) => write!(f, "replaced {field}"),
            Effect::SetTo(field, digest) => write!(f, "set {digest} {field}"),
        }
    }
}

/// The effect of a name in tables.
impl FromStr for Effect {
    type Err = UnknownEffect;

    fn from_str(name: &str) -> Result<Self, UnknownEffect> {
        let (kind, rest) = name.split_once(' ').unwrap_or((name, ""));
        match (kind, rest.split_once(' ')) {
            ("sent", None) if rest.is_empty() => Ok(Effect::Sent),
            ("deleted", None) if rest.is_empty() => Ok(Effect::Deleted),
            ("made_again", None) if rest.is_empty() => Ok(Effect::MadeAgain),
            ("changed", None) if rest.is_empty() => Ok(Effect::Changed),
            ("blanked", _) => Ok(Effect::Blanked(FieldName::new(rest))),
            ("replaced", _) => Ok(Effect::Replaced(FieldName::new(rest))),
            ("set", Some((digest, field))) => Ok(Effect::SetTo(FieldName::new(field), digest.to_owned())),
            _ => Err(UnknownEffect(name.to_owned())),
        }
    }
}

/// A name that no version of ours has written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no effect is called {0:?}")]
pub struct UnknownEffect(String);

/// What the planned update of a system's copy takes the place of; nothing for a create or a delete, which are counted as
/// such.
pub fn effects_of(record: &Record, system: &SystemName) -> Vec<Effect> {
    let (Some(intent), Some(copy)) = (record.intents.get(system), record.live_copy(system)) else {
        return Vec::new();
    };
    match intent.operation {
        Operation::Update => {}
        Operation::Create | Operation::Delete => return Vec::new(),
    }
    let mut effects = Vec::new();
    for (field, outgoing) in &intent.fields {
        let Some(shadow) = copy.fields.get(field) else { continue };
        if shadow.base.as_ref().is_none_or(|base| *base == outgoing.dot) {
            continue;
        }
        if effects.is_empty() {
            effects.push(Effect::Changed);
        }
        match (is_empty(&shadow.content), is_empty(&outgoing.value)) {
            (true, _) => {}
            (false, true) => effects.push(Effect::Blanked(field.clone())),
            (false, false) => {
                effects.push(Effect::Replaced(field.clone()));
                if has_identity(&outgoing.value) {
                    let digest = outgoing.value.digest().to_string();
                    let digits = digest.chars().take(DIGITS).collect();
                    effects.push(Effect::SetTo(field.clone(), digits));
                }
            }
        }
    }
    effects
}

/// Whether nothing stands in a field: null, a text without a sign, or no elements.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => value.is_blank(),
    }
}

/// Whether many copies with the same value are remarkable.
fn has_identity(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::List(_) | Value::Object(_) => true,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ids::{EntityName, RecordId, RemoteId};
    use crate::data::version::{Dot, VersionVector};
    use crate::record::intent::{Intent, IntentStatus, OutgoingField};
    use crate::record::{Copy, Shadow};
    use std::collections::BTreeMap;

    fn dot(system: &str, n: u64) -> Dot {
        Dot { system: SystemName::new(system), n }
    }

    /// The effects of writing `after`, made by app's second change, over `before`, which has seen `base`.
    fn of(operation: Operation, before: Value, base: Option<Dot>, after: Value) -> Vec<String> {
        let system = SystemName::new("crm");
        let mut copy = Copy::new(RemoteId::new("1"));
        copy.fields.insert("phone".into(), Shadow::of(before, base));
        let mut record = Record::new(RecordId::new("r"), EntityName::new("customer"));
        record.copies.insert(system.clone(), copy);
        let intent = Intent {
            key: "k".to_owned(),
            operation,
            fields: BTreeMap::from([("phone".into(), OutgoingField { value: after, dot: dot("app", 2) })]),
            vector: VersionVector::new(),
            status: IntentStatus::Planned,
            attempt: 0,
        };
        record.intents.insert(system.clone(), intent);
        effects_of(&record, &system).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_takes_the_place_of_something_agreed_is_counted() {
        let digits = &Value::text("2").digest().to_string()[..DIGITS];
        let set = format!("set {digits} phone");
        let agreed = || Some(dot("app", 1));
        let (one, two) = (|| Value::text("1"), || Value::text("2"));
        let cases = [
            ("another text", one(), agreed(), two(), vec!["changed", "replaced phone", &set]),
            ("a number", Value::Int(1), agreed(), Value::Int(2), vec!["changed", "replaced phone"]),
            ("emptied by null", one(), agreed(), Value::Null, vec!["changed", "blanked phone"]),
            ("emptied by blanks", one(), agreed(), Value::text(" "), vec!["changed", "blanked phone"]),
            (
                "no elements",
                Value::List(vec![one()]),
                agreed(),
                Value::List(vec![]),
                vec!["changed", "blanked phone"],
            ),
            ("filled in", Value::Null, agreed(), two(), vec!["changed"]),
            ("a first link", one(), None, two(), vec![]),
            ("put back", one(), Some(dot("app", 2)), two(), vec![]),
        ];
        for (name, before, base, after, expected) in cases {
            assert_eq!(of(Operation::Update, before, base, after), expected, "{name}");
        }
        assert_eq!(of(Operation::Delete, one(), agreed(), two()), Vec::<String>::new());
        assert_eq!(of(Operation::Create, one(), agreed(), two()), Vec::<String>::new());
    }

    #[test]
    fn names_in_tables_are_read_back() {
        let field = || FieldName::new("home phone");
        let all = [
            Effect::Sent,
            Effect::Deleted,
            Effect::MadeAgain,
            Effect::Changed,
            Effect::Blanked(field()),
            Effect::Replaced(field()),
            Effect::SetTo(field(), "0123456789abcdef".to_owned()),
        ];
        for effect in all {
            assert_eq!(effect.to_string().parse(), Ok(effect));
        }
        for name in ["", "set", "sent x", "lost phone"] {
            assert_eq!(name.parse::<Effect>(), Err(UnknownEffect(name.to_owned())), "{name}");
        }
    }
}
