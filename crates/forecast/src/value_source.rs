//! What people write into a field: values of its type that its rule accepts.

use avowal_core::data::ids::FieldName;
use avowal_core::data::value::Value;
use avowal_core::policy::schema::FieldType;
use avowal_core::policy::{EntityPolicy, FieldOwnershipPolicy};
use avowal_fakes::dice::Dice;
use serde_json::json;

/// Where the values of one field come from.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum ValueSource {
    /// A kind of text, filled with a number.
    Pattern(usize),
    /// Values that the rule itself names.
    Named(Vec<Value>),
    /// Made from the type alone.
    Typed,
    /// A reference to some record.
    Reference,
    /// Nothing was found that the rule accepts.
    Nothing,
}

/// How many numbers a pattern is tried with.
const TRIES: u64 = 24;

/// Kinds of text, likely ones first.
const PATTERNS: [fn(u64) -> String; 16] = [
    |n| format!("{} {n}", WORDS[(n % 8) as usize]),
    |n| format!("{}{n}@example.com", WORDS[(n % 8) as usize].to_lowercase()),
    |n| format!("+49 30 {:07}", n % 10_000_000),
    |n| format!("+4930{:08}", n % 100_000_000),
    |n| format!("{:05}", n % 100_000),
    |n| format!("{:08}", n % 100_000_000),
    |n| format!("AB-{:04}", n % 10_000),
    |n| format!("C{:06}", n % 1_000_000),
    |n| letters(n, 2),
    |n| letters(n, 3),
    |n| format!("https://example.com/{n}"),
    |n| format!("00000000-0000-4000-8000-{n:012}"),
    |n| format!("item-{n}"),
    |n| letters(n, 6).to_lowercase(),
    |n| date(n),
    |n| n.to_string(),
];

const WORDS: [&str; 8] = ["Amber", "Birch", "Cedar", "Dune", "Elm", "Fjord", "Grove", "Heath"];

impl ValueSource {
    /// The taste that fits a field.
    pub(super) fn of(policy: &EntityPolicy, field: &FieldName) -> Self {
        let Some(rules) = policy.field(field) else { return ValueSource::Nothing };
        let is_key = policy.match_on.iter().flatten().any(|key| key == field);
        match &rules.field_type {
            FieldType::Ref { .. } => ValueSource::Reference,
            FieldType::String => Self::of_text(rules, field, is_key),
            FieldType::Integer
            | FieldType::Decimal
            | FieldType::Boolean
            | FieldType::Date
            | FieldType::Timestamp
            | FieldType::Enum { .. }
            | FieldType::Set
            | FieldType::List
            | FieldType::Object => Self::of_type(rules),
        }
    }

    fn of_text(rules: &FieldOwnershipPolicy, field: &FieldName, is_key: bool) -> Self {
        let is_mail = field.as_str().to_lowercase().contains("mail");
        let order = (0..PATTERNS.len()).map(|at| if is_mail && at < 2 { 1 - at } else { at });
        let pattern = order
            .filter(|at| (1..=TRIES).all(|n| accepts(rules, &Value::text(PATTERNS[*at](n * 37)))))
            .map(ValueSource::Pattern)
            .next();
        let named = Self::named(rules);
        match (pattern, named) {
            // What the rule names are few; a key needs many.
            (Some(pattern), named) if is_key || named.is_empty() => pattern,
            (_, named) if !named.is_empty() => ValueSource::Named(named),
            (Some(pattern), _) => pattern,
            (None, _) => ValueSource::Nothing,
        }
    }

    fn of_type(rules: &FieldOwnershipPolicy) -> Self {
        let mut dice = Dice::new(1);
        let fits = (1..=TRIES).all(|n| accepts(rules, &typed(&rules.field_type, &Value::Null, n, &mut dice)));
        let named = if fits { Vec::new() } else { Self::named(rules) };
        match (fits, named.is_empty()) {
            (true, _) => ValueSource::Typed,
            (false, false) => ValueSource::Named(named),
            (false, true) => ValueSource::Nothing,
        }
    }

    /// The texts and numbers that stand in the rule, and their neighbours, as far as the rule accepts them.
    fn named(rules: &FieldOwnershipPolicy) -> Vec<Value> {
        let Some(rule) = &rules.valid else { return Vec::new() };
        let source = rule.source();
        let quoted = ['\'', '"'].into_iter().flat_map(|quote| source.split(quote).skip(1).step_by(2));
        let mut found: Vec<Value> = quoted.map(Value::text).collect();
        let numbers =
            source.split(|char: char| !char.is_ascii_digit()).filter_map(|text| text.parse::<i64>().ok());
        for number in numbers {
            let near = [number, number.saturating_sub(1), number.saturating_add(1), number / 2];
            found.extend(near.into_iter().map(Value::Int));
        }
        let canonical = found.iter().filter_map(|value| rules.field_type.accept(value, true).ok());
        let mut accepted: Vec<Value> = canonical.filter(|value| accepts(rules, value)).collect();
        accepted.sort();
        accepted.dedup();
        accepted
    }

    /// Another canonical value after `now`, decided by `n` and the dice; `None` if there is none.
    pub(super) fn next(
        &self,
        rules: &FieldOwnershipPolicy,
        now: &Value,
        n: u64,
        dice: &mut Dice,
    ) -> Option<Value> {
        match self {
            ValueSource::Pattern(at) => PATTERNS.get(*at).map(|pattern| Value::text(pattern(n))),
            ValueSource::Named(values) => {
                let others: Vec<Value> = values.iter().filter(|value| *value != now).cloned().collect();
                dice.pick(&others)
            }
            ValueSource::Typed => Self::allowed(rules, now, n, dice),
            ValueSource::Reference | ValueSource::Nothing => None,
        }
    }

    /// A value that may follow the present one; for a decided enum, one of the transitions.
    fn allowed(rules: &FieldOwnershipPolicy, now: &Value, n: u64, dice: &mut Dice) -> Option<Value> {
        if let (Some(transitions), Some(from)) = (&rules.transitions, now.as_text()) {
            let next: Vec<&String> = transitions.get(from).into_iter().flatten().collect();
            return dice.pick(&next).map(Value::text);
        }
        (0..TRIES)
            .map(|extra| typed(&rules.field_type, now, n.wrapping_add(extra), dice))
            .find(|value| value != now && accepts(rules, value))
    }

    /// A value that the rules of the field do not allow after `now`, as people enter by mistake; `None` if every
    /// value is allowed.
    pub(super) fn mistaken(rules: &FieldOwnershipPolicy, now: &Value) -> Option<Value> {
        if let (Some(transitions), Some(from), FieldType::Enum { values }) =
            (&rules.transitions, now.as_text(), &rules.field_type)
        {
            let next = transitions.get(from);
            let wrong = |value: &&String| *value != from && !next.is_some_and(|next| next.contains(*value));
            return values.iter().find(wrong).map(Value::text);
        }
        let candidates = [json!("?"), json!(-1), json!("-1"), json!("1900-01-01")];
        candidates
            .into_iter()
            .filter_map(|json| serde_json::from_value::<Value>(json).ok())
            .filter_map(|value| rules.field_type.accept(&value, true).ok())
            .find(|value| !accepts(rules, value))
    }
}

/// Whether the field's rule holds; a rule that fails on a value does not accept it.
fn accepts(rules: &FieldOwnershipPolicy, value: &Value) -> bool {
    rules.valid.as_ref().is_none_or(|rule| rule.holds(value).unwrap_or(false))
}

fn typed(field_type: &FieldType, now: &Value, n: u64, dice: &mut Dice) -> Value {
    let small = i64::try_from(n % 100_000).unwrap_or(0);
    match field_type {
        FieldType::String | FieldType::Ref { .. } => Value::text(n.to_string()),
        // People count on from what they see.
        FieldType::Integer => match now {
            Value::Int(now) => Value::Int(now.saturating_add(1 + dice.roll(9) as i64)),
            Value::Null
            | Value::Bool(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Object(_) => Value::Int(small),
        },
        FieldType::Decimal => Value::text(format!("{}.{}", 1 + small, 1 + n % 9)),
        FieldType::Boolean => Value::Bool(*now != Value::Bool(true)),
        FieldType::Date => Value::text(date(n)),
        FieldType::Timestamp => Value::text(format!("{}T{:02}:{:02}:00Z", date(n), n % 24, n % 60)),
        FieldType::Enum { values } => dice.pick(values).map_or(Value::Null, Value::text),
        FieldType::Set => members(now, n, dice, true),
        FieldType::List => members(now, n, dice, false),
        FieldType::Object => Value::Object([("note".to_owned(), Value::text(format!("n{n}")))].into()),
    }
}

/// One member more, or one less.
fn members(now: &Value, n: u64, dice: &mut Dice, sorted: bool) -> Value {
    const MEMBERS_MAX: usize = 6;
    let mut items = if let Value::List(items) = now { items.clone() } else { Vec::new() };
    if items.len() >= MEMBERS_MAX || (!items.is_empty() && dice.chance(30)) {
        items.remove(dice.place(items.len()));
    } else {
        items.push(Value::text(format!("tag{}", n % 40)));
    }
    if sorted {
        items.sort();
        items.dedup();
    }
    Value::List(items)
}

fn letters(n: u64, count: u32) -> String {
    let letter = |at| char::from(b'A' + u8::try_from(n / 26_u64.pow(at) % 26).unwrap_or(0));
    (0..count).map(letter).collect()
}

fn date(n: u64) -> String {
    format!("20{:02}-{:02}-{:02}", 20 + n / 336 % 60, 1 + n / 28 % 12, 1 + n % 28)
}
