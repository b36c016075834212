//! The contacts themselves.

use avowal_core::data::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many answers to idempotency keys are remembered.
const KEYS_MAX: usize = 20_000;
/// The names that the CRM itself fills in.
const OWN: [&str; 5] = ["id", "rev", "updated_at", "updated_by", "operation_id"];

/// All contacts, by number in order of creation.
#[derive(Default)]
pub(super) struct Book {
    contacts: BTreeMap<u64, Contact>,
    last_number: u64,
    last_stamp_ms: i64,
    /// The contact that each idempotency key led to.
    keys: BTreeMap<String, u64>,
}

#[derive(Clone)]
struct Contact {
    present: Version,
    /// What a lagging replica still shows.
    before: Option<Version>,
}

#[derive(Clone)]
struct Version {
    fields: Map<String, Value>,
    rev: u64,
    updated_at: Timestamp,
    updated_by: String,
    operation_id: Option<String>,
}

/// Who changes something, and under which idempotency key.
#[derive(Clone, Default)]
pub(super) struct By {
    pub(super) actor: String,
    pub(super) key: Option<String>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such contact.
    Missing,
    /// The version given is not the present one.
    Stale,
    /// The content is not acceptable.
    Invalid(String),
}

/// A change that was made or had been made before.
pub(super) struct Made {
    pub(super) contact: Value,
    /// Whether something is different now, so that a webhook is due.
    pub(super) news: bool,
}

impl Book {
    /// Makes a contact, or shows the one that this key made before.
    pub(super) fn create(&mut self, fields: Map<String, Value>, by: &By) -> Result<Made, Refusal> {
        if let Some(contact) = self.made_before(by) {
            return Ok(Made { contact, news: false });
        }
        let fields = accept(fields)?;
        self.last_number += 1;
        let number = self.last_number;
        let present = self.version(fields, 1, by);
        self.contacts.insert(number, Contact { present, before: None });
        self.remember(by, number);
        self.shown(number).map(|contact| Made { contact, news: true })
    }

    /// Changes fields, if the contact still has the version `etag`.
    pub(super) fn update(
        &mut self,
        id: &str,
        fields: Map<String, Value>,
        etag: Option<&str>,
        by: &By,
    ) -> Result<Made, Refusal> {
        if let Some(contact) = self.made_before(by) {
            return Ok(Made { contact, news: false });
        }
        let fields = accept(fields)?;
        let number = self.number(id)?;
        let present = self.contacts.get(&number).ok_or(Refusal::Missing)?.present.clone();
        if etag.is_some_and(|etag| etag != present.etag()) {
            return Err(Refusal::Stale);
        }
        let mut merged = present.fields.clone();
        merged.extend(fields);
        let news = merged != present.fields;
        if news {
            let next = self.version(merged, present.rev + 1, by);
            self.contacts.insert(number, Contact { present: next, before: Some(present) });
        }
        self.remember(by, number);
        self.shown(number).map(|contact| Made { contact, news })
    }

    /// Removes a contact and answers what it was.
    pub(super) fn delete(&mut self, id: &str, etag: Option<&str>, by: &By) -> Result<Value, Refusal> {
        let number = self.number(id)?;
        let present = &self.contacts.get(&number).ok_or(Refusal::Missing)?.present;
        if etag.is_some_and(|etag| etag != present.etag()) {
            return Err(Refusal::Stale);
        }
        let last = self.version(present.fields.clone(), present.rev + 1, by);
        self.contacts.remove(&number);
        Ok(last.json(number))
    }

    /// Gives every contact a new time and version.
    pub(super) fn touch(&mut self) {
        let at = self.stamp();
        for contact in self.contacts.values_mut() {
            contact.present.updated_at = at;
            contact.present.rev += 1;
            contact.present.operation_id = None;
        }
    }

    /// A contact and its etag; the state before the last change if `stale`.
    pub(super) fn read(&self, id: &str, stale: bool) -> Result<(Value, String), Refusal> {
        let number = self.number(id)?;
        let contact = self.contacts.get(&number).ok_or(Refusal::Missing)?;
        let version = contact.before.as_ref().filter(|_| stale).unwrap_or(&contact.present);
        Ok((version.json(number), version.etag()))
    }

    /// The contacts with these values, changed at or after `since`: in order of change if it is given, otherwise
    /// of creation.
    pub(super) fn list(&self, since: Option<Timestamp>, wanted: &BTreeMap<String, String>) -> Vec<Value> {
        let mut found: Vec<_> = self
            .contacts
            .iter()
            .filter(|(_, contact)| since.is_none_or(|since| contact.present.updated_at >= since))
            .filter(|(_, contact)| wanted.iter().all(|(name, value)| contact.present.has(name, value)))
            .collect();
        if since.is_some() {
            found.sort_by_key(|(number, contact)| (contact.present.updated_at, **number));
        }
        found.into_iter().map(|(number, contact)| contact.present.json(*number)).collect()
    }

    fn made_before(&self, by: &By) -> Option<Value> {
        let number = *self.keys.get(by.key.as_ref()?)?;
        self.shown(number).ok()
    }

    fn remember(&mut self, by: &By, number: u64) {
        if let Some(key) = &by.key {
            if self.keys.len() >= KEYS_MAX {
                self.keys.clear();
            }
            self.keys.insert(key.clone(), number);
        }
    }

    fn shown(&self, number: u64) -> Result<Value, Refusal> {
        Ok(self.contacts.get(&number).ok_or(Refusal::Missing)?.present.json(number))
    }

    fn number(&self, id: &str) -> Result<u64, Refusal> {
        id.strip_prefix('c').and_then(|digits| digits.parse().ok()).ok_or(Refusal::Missing)
    }

    fn version(&mut self, fields: Map<String, Value>, rev: u64, by: &By) -> Version {
        let updated_at = self.stamp();
        Version { fields, rev, updated_at, updated_by: by.actor.clone(), operation_id: by.key.clone() }
    }

    /// The current time; it never goes back.
    fn stamp(&mut self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.last_stamp_ms = self.last_stamp_ms.max(i64::try_from(now).unwrap_or(0));
        Timestamp::from_millis(self.last_stamp_ms)
    }
}

impl Version {
    fn etag(&self) -> String {
        format!("\"{}\"", self.rev)
    }

    fn has(&self, name: &str, wanted: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::String(held)) => held == wanted,
            Some(Value::Bool(held)) => wanted == if *held { "true" } else { "false" },
            Some(Value::Number(held)) => {
                wanted.parse().is_ok_and(|wanted: serde_json::Number| *held == wanted)
            }
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => false,
            None => false,
        }
    }

    fn json(&self, number: u64) -> Value {
        let mut all = self.fields.clone();
        all.insert("id".to_owned(), json!(format!("c{number}")));
        all.insert("rev".to_owned(), json!(self.rev));
        all.insert("updated_at".to_owned(), json!(self.updated_at.to_string()));
        all.insert("updated_by".to_owned(), json!(self.updated_by));
        all.insert("operation_id".to_owned(), json!(self.operation_id));
        Value::Object(all)
    }
}

/// What is stored of what was sent.
fn accept(mut fields: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    fields.retain(|name, _| !OWN.contains(&name.as_str()));
    if let Some(Value::String(email)) = fields.get("email")
        && !email.contains('@')
    {
        return Err(Refusal::Invalid("email must contain @".to_owned()));
    }
    if let Some(Value::String(phone)) = fields.get_mut("phone") {
        *phone = phone.chars().filter(|char| char.is_ascii_digit() || *char == '+').collect();
    }
    Ok(fields)
}
