//! A batch of edits: what people do on both sides while nothing runs.

use super::customer::{Customer, Edit, FIELDS, Side};
use super::oracle::{By, Oracle};
use super::pair::Pair;
use super::service::Service;
use crate::e2e::Chance;
use std::collections::BTreeSet;

/// How much people do in one batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Edits on each side.
    pub edits: usize,
    /// Customers that both sides edit in the same field.
    pub clashes: usize,
    /// New customers on each side, and as many again on both at once.
    pub new: usize,
    /// Deletes on each side.
    pub deletes: usize,
}

impl Batch {
    /// What it counts for.
    pub fn all(&self) -> usize {
        2 * self.edits + 2 * self.clashes + 4 * self.new + 2 * self.deletes
    }
}

/// Numbers for texts and customers that nobody has used before.
#[derive(Debug, Default)]
pub struct Fresh(usize);

impl Fresh {
    fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }

    /// A text that was never written before; now and then nothing, which clears the field.
    fn text(&mut self, chance: &mut Chance, by: &str, field: &str) -> Option<String> {
        let number = self.next();
        (chance.below(20) != 0).then(|| format!("{field} {number} by {by}"))
    }

    /// A new customer, with every field.
    pub fn whole_customer(&mut self) -> (String, Customer) {
        let number = self.next();
        let text = |field: &'static str| (field, format!("{field} {number} first"));
        (format!("person{number}@example.com"), FIELDS.map(text).into())
    }

    /// A new customer, with what one side can vouch for.
    pub fn customer(&mut self, by: By) -> (String, Customer) {
        let number = self.next();
        let fields = match by {
            By::App => ["name", "phone", "note"],
            By::Service => ["stage", "phone", "note"],
        };
        let text = |field: &'static str| (field, format!("{field} {number} first by {by:?}"));
        (format!("person{number}@example.com"), fields.map(text).into())
    }
}

/// People's side of the long run.
pub struct People<'p, S> {
    pub pair: &'p Pair<S>,
    pub oracle: Oracle,
    pub fresh: Fresh,
    pub chance: Chance,
}

type Edits = Vec<Edit>;

impl<S: Service> People<'_, S> {
    /// Plays one batch. The app's edits are one transaction.
    pub fn play(&mut self, batch: Batch) {
        let (app, service) = (self.pair.app_side(), self.pair.service_side());
        let deleted_in_app = self.some_of(&app, batch.deletes);
        let deleted_in_service = self.some_of(&service, batch.deletes);
        let mut in_app = self.edits_of(By::App, &app, batch.edits);
        let mut in_service = self.edits_of(By::Service, &service, batch.edits);
        self.clash(&app, &service, batch.clashes, &mut in_app, &mut in_service);
        self.pair.edit_app(&in_app);
        let by_id: Edits =
            in_service.iter().map(|(email, fields)| (service[email].0.clone(), fields.clone())).collect();
        self.pair.edit_service(&by_id);
        for (by, edits) in [(By::App, &in_app), (By::Service, &in_service)] {
            for (email, fields) in edits {
                self.oracle.wrote(by, email, fields);
            }
        }
        self.add(batch.new);
        for (by, emails) in [(By::App, &deleted_in_app), (By::Service, &deleted_in_service)] {
            for email in emails {
                self.oracle.deleted(by, email);
            }
        }
        self.pair.delete_app(&deleted_in_app);
        let ids: Vec<String> = deleted_in_service.iter().map(|email| service[email].0.clone()).collect();
        self.pair.service.delete(&ids);
    }

    fn some_of(&mut self, side: &Side, count: usize) -> Vec<String> {
        let emails: Vec<&String> = side.keys().collect();
        let drawn: BTreeSet<String> =
            (0..count.min(emails.len())).map(|_| (*self.chance.pick(&emails)).clone()).collect();
        drawn.into_iter().collect()
    }

    fn edits_of(&mut self, by: By, side: &Side, count: usize) -> Edits {
        let emails: Vec<&String> = side.keys().collect();
        let mut edits = Edits::new();
        for _ in 0..count {
            let email = (*self.chance.pick(&emails)).clone();
            let texts = self.texts(by, &email);
            edits.push((email, texts));
        }
        edits
    }

    /// One field, or two different ones.
    fn texts(&mut self, by: By, email: &str) -> Vec<(&'static str, Option<String>)> {
        let fields = BTreeSet::from([self.field(email), self.field(email)]);
        let by = format!("{by:?}");
        fields.into_iter().map(|field| (field, self.fresh.text(&mut self.chance, &by, field))).collect()
    }

    /// A field that anybody may write and see it taken or refused.
    fn field(&mut self, email: &str) -> &'static str {
        loop {
            let field = *self.chance.pick(&FIELDS);
            if self.oracle.is_vouched(email, field) {
                return field;
            }
        }
    }

    /// Both sides edit the same field of some customers.
    fn clash(
        &mut self,
        app: &Side,
        service: &Side,
        count: usize,
        in_app: &mut Edits,
        in_service: &mut Edits,
    ) {
        let both: Vec<&String> = app.keys().filter(|email| service.contains_key(*email)).collect();
        for _ in 0..count {
            let email = (*self.chance.pick(&both)).clone();
            let field = self.field(&email);
            for (by, edits) in [("App", &mut *in_app), ("Service", &mut *in_service)] {
                edits.push((email.clone(), vec![(field, self.fresh.text(&mut self.chance, by, field))]));
            }
        }
    }

    /// New customers in the app, in the service, and in both at once.
    pub fn add(&mut self, count: usize) {
        let mut in_app: Vec<_> = (0..count).map(|_| self.fresh.customer(By::App)).collect();
        let mut in_service: Vec<_> = (0..count).map(|_| self.fresh.customer(By::Service)).collect();
        for _ in 0..count {
            let (email, fields) = self.fresh.customer(By::App);
            in_app.push((email.clone(), fields));
            in_service.push((email, self.fresh.customer(By::Service).1));
        }
        for (by, customers) in [(By::App, &in_app), (By::Service, &in_service)] {
            for (email, fields) in customers {
                let fields: Vec<_> =
                    fields.iter().map(|(field, text)| (*field, Some(text.clone()))).collect();
                self.oracle.wrote(by, email, &fields);
            }
        }
        self.pair.insert_app(&in_app);
        self.pair.insert_service(&in_service);
    }
}
