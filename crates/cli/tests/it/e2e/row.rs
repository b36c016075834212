//! A customer as a person would compare it: the same shape whichever system it was read from.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One of the three systems.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Peer {
    App,
    Billing,
    Crm,
}

impl Peer {
    pub const ALL: [Peer; 3] = [Peer::App, Peer::Billing, Peer::Crm];

    pub fn name(self) -> &'static str {
        match self {
            Peer::App => "app",
            Peer::Billing => "billing",
            Peer::Crm => "crm",
        }
    }
}

/// A customer's fields, without ids and times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub email: String,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub stage: Option<String>,
    pub billing_status: Option<String>,
    pub tags: BTreeSet<String>,
    pub credit: i64,
    pub note: Option<String>,
}

/// All customers of a system, by their code, which nobody ever edits.
pub type Rows = BTreeMap<String, Row>;

impl Row {
    /// The n-th customer, with every field filled.
    pub fn nth(n: usize) -> Self {
        let tags = [["eu", "vip"], ["eu", "beta"], ["us", "vip"]][n % 3];
        Self {
            email: format!("person{n}@example.com"),
            name: Some(format!("Person {n}")),
            phone: Some(format!("+1555{n:07}")),
            stage: Some(["lead", "qualified", "customer"][n % 3].to_owned()),
            billing_status: Some(["trial", "active", "past_due"][n % 3].to_owned()),
            tags: tags.map(str::to_owned).into(),
            credit: i64::try_from(n % 500).unwrap_or(0),
            note: Some(format!("note {n}")),
        }
    }

    /// The n-th customer as the app alone can vouch for it: without what belongs to the others.
    pub fn of_app(n: usize) -> Self {
        Self { stage: None, billing_status: None, ..Self::nth(n) }
    }

    /// Reads a copy; `null`, and the empty text where the system has no null, say that a field is not set.
    pub fn read(place: Peer, object: &Value) -> (String, Row) {
        let named = |field: &str| &object[column(place, field)];
        let text = |field: &str| named(field).as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let tags = match named("tags") {
            // The app keeps JSON in a text column.
            Value::String(json) => serde_json::from_str(json).unwrap(),
            other => other.clone(),
        };
        let tags =
            tags.as_array().into_iter().flatten().map(|tag| tag.as_str().unwrap().to_owned()).collect();
        let row = Row {
            email: text("email").unwrap(),
            name: text("name"),
            phone: text("phone"),
            stage: text("stage"),
            billing_status: text("billing_status"),
            tags,
            credit: named("credit").as_f64().map(|credit| credit as i64).unwrap(),
            note: text("note"),
        };
        (text("code").unwrap_or_else(|| row.email.clone()), row)
    }

    /// The copy as the system's own columns.
    pub fn columns(&self, place: Peer, code: &str) -> Vec<(&'static str, Value)> {
        let tags: Vec<&String> = self.tags.iter().collect();
        [
            ("code", json!(code)),
            ("email", json!(self.email)),
            ("name", json!(self.name)),
            ("phone", json!(self.phone)),
            ("stage", json!(self.stage)),
            ("billing_status", json!(self.billing_status)),
            ("tags", json!(tags)),
            ("credit", json!(self.credit)),
            ("note", json!(self.note)),
        ]
        .into_iter()
        .map(|(field, value)| (column(place, field), value))
        .collect()
    }
}

/// The remote name of a field.
pub fn column(place: Peer, field: &str) -> &'static str {
    match (place, field) {
        (_, "code") => "code",
        (_, "email") => "email",
        (Peer::App, "name") => "full_name",
        (Peer::App, "phone") => "phone_number",
        (Peer::Billing, "billing_status") => "status",
        (Peer::Billing | Peer::Crm, "name") => "name",
        (Peer::Billing | Peer::Crm, "phone") => "phone",
        (_, "stage") => "stage",
        (Peer::App | Peer::Crm, "billing_status") => "billing_status",
        (_, "tags") => "tags",
        (_, "credit") => "credit",
        (_, "note") => "note",
        (_, other) => panic!("no field is called {other}"),
    }
}

/// Fails at the first few differences, naming them.
#[track_caller]
pub fn assert_equal(what: &str, found: &Rows, expected: &Rows) {
    let missing: Vec<_> = expected.keys().filter(|code| !found.contains_key(*code)).take(5).collect();
    let extra: Vec<_> = found.keys().filter(|code| !expected.contains_key(*code)).take(5).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{what}: missing {missing:?}, unexpected {extra:?}");
    let different: Vec<_> = expected.iter().filter(|(code, row)| found[*code] != **row).collect();
    if let Some((code, row)) = different.first() {
        panic!("{what}: {} rows differ; {code} is {:?}, expected {row:?}", different.len(), found[*code]);
    }
}
