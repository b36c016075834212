//! What may stand at the end of a round: each customer's values by the policy, from what people did and nothing else.
//!
//! The policy of all examples: `name` belongs to the app, `stage` to the service; `phone` and `note` are shared, and where
//! both sides changed one without having seen each other, `phone` is the service's and `note` the app's. Every text that
//! people write is written once, so a value that stands where it may not stand is always seen.

use super::customer::{Customer, FIELDS, Side};
use super::service::ServiceDeletes;
use std::collections::{BTreeMap, BTreeSet};

/// Who did it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum By {
    App,
    Service,
}

/// Whether both sides have seen each other's last state before each batch of edits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    /// They had agreed before the only batch, so edits of one field on both sides are concurrent.
    Calm,
    /// Syncs were cut off between the batches, so either side's last edit may be the later one.
    Stormy,
}

/// What happened to one customer since the last check.
#[derive(Clone, Debug, Default)]
struct Story {
    /// What both sides agreed on.
    base: Customer,
    /// The values that people wrote, in order; `None` clears.
    by_app: BTreeMap<&'static str, Vec<Option<String>>>,
    by_service: BTreeMap<&'static str, Vec<Option<String>>>,
    deleted_in_app: bool,
    deleted_in_service: bool,
    /// The fields that their owner has ever written.
    vouched: BTreeSet<&'static str>,
}

/// Knows which values may stand.
#[derive(Debug)]
pub struct Oracle {
    deletes: ServiceDeletes,
    stories: BTreeMap<String, Story>,
}

impl Oracle {
    pub fn new(deletes: ServiceDeletes) -> Self {
        Self { deletes, stories: BTreeMap::new() }
    }

    /// Whether the owner of a field has ever written it. Of a field that its owner has never shown nothing is believed, and
    /// what others write there stays where it is.
    pub fn is_vouched(&self, email: &str, field: &'static str) -> bool {
        owner(field).is_none() || self.stories.get(email).is_some_and(|story| story.vouched.contains(field))
    }

    /// Somebody wrote these values.
    pub fn wrote(&mut self, by: By, email: &str, fields: &[(&'static str, Option<String>)]) {
        let story = self.stories.entry(email.to_owned()).or_default();
        let written = match by {
            By::App => &mut story.by_app,
            By::Service => &mut story.by_service,
        };
        for (field, text) in fields {
            written.entry(field).or_default().push(text.clone());
            if owner(field) == Some(by) {
                story.vouched.insert(field);
            }
        }
    }

    /// Somebody deleted the customer.
    pub fn deleted(&mut self, by: By, email: &str) {
        let story = self.stories.entry(email.to_owned()).or_default();
        match by {
            By::App => story.deleted_in_app = true,
            By::Service => story.deleted_in_service = true,
        }
    }

    /// Both sides agree, on values that may stand. What stands is the base of the next round.
    #[track_caller]
    pub fn check(&mut self, weather: Weather, app: &Side, service: &Side) {
        let emails: BTreeSet<&String> = app.keys().chain(service.keys()).chain(self.stories.keys()).collect();
        let mut findings = Vec::new();
        let mut agreed = BTreeMap::new();
        for email in emails {
            let story = self.stories.get(email).cloned().unwrap_or_default();
            let (in_app, in_service) = (app.get(email), service.get(email));
            let stays = story.stays(self.deletes);
            match (in_app, in_service) {
                (None, None) if !stays => {}
                (Some((_, in_app)), Some((_, in_service))) if stays => {
                    findings.extend(story.findings(weather, email, in_app, in_service));
                    agreed.insert(
                        email.clone(),
                        Story { base: in_app.clone(), vouched: story.vouched, ..Story::default() },
                    );
                }
                _ => findings.push(format!(
                    "{email}: in the app {}, in the service {}, may stay {stays}: {story:?}",
                    in_app.is_some(),
                    in_service.is_some()
                )),
            }
        }
        let shown: Vec<_> = findings.iter().take(10).map(String::as_str).collect();
        assert!(findings.is_empty(), "{} findings ({weather:?}):\n{}", findings.len(), shown.join("\n"));
        self.stories = agreed;
    }
}

/// Whose field it is; `None` if it is shared.
fn owner(field: &str) -> Option<By> {
    match field {
        "name" => Some(By::App),
        "stage" => Some(By::Service),
        _ => None,
    }
}

impl Story {
    fn stays(&self, deletes: ServiceDeletes) -> bool {
        !self.deleted_in_app && (!self.deleted_in_service || deletes == ServiceDeletes::Reverted)
    }

    fn findings(&self, weather: Weather, email: &str, app: &Customer, service: &Customer) -> Vec<String> {
        let mut findings = Vec::new();
        for field in FIELDS {
            let (in_app, in_service) = (app.get(field).cloned(), service.get(field).cloned());
            let allowed = self.allowed(weather, field);
            if in_app != in_service || !allowed.contains(&in_app) {
                findings.push(format!(
                    "{email} {field}: {in_app:?} in the app, {in_service:?} in the service, may be {allowed:?}; \
                     base {:?}, app wrote {:?}, service wrote {:?}, deleted in the service {}",
                    self.base.get(field),
                    self.by_app.get(field),
                    self.by_service.get(field),
                    self.deleted_in_service,
                ));
            }
        }
        findings
    }

    /// The values that may stand in a field.
    fn allowed(&self, weather: Weather, field: &'static str) -> BTreeSet<Option<String>> {
        let base = self.base.get(field).cloned();
        let by_app = self.by_app.get(field).and_then(|texts| texts.last().cloned());
        let by_service = self.by_service.get(field).and_then(|texts| texts.last().cloned());
        let owned =
            |written: Option<Option<String>>| BTreeSet::from([written.unwrap_or_else(|| base.clone())]);
        let shared = |first: By| match (by_app.clone(), by_service.clone()) {
            (None, written) | (written, None) => owned(written),
            // Who came back to what stood there before may not have been seen to write at all.
            (Some(by_app), Some(by_service)) if by_app == base || by_service == base => {
                BTreeSet::from([by_app, by_service])
            }
            (Some(by_app), Some(by_service)) => match (weather, first) {
                (Weather::Stormy, _) => BTreeSet::from([by_app, by_service]),
                (Weather::Calm, By::App) => BTreeSet::from([by_app]),
                (Weather::Calm, By::Service) => BTreeSet::from([by_service]),
            },
        };
        let mut allowed = match field {
            "name" => owned(by_app.clone()),
            "stage" => owned(by_service.clone()),
            "phone" => shared(By::Service),
            "note" => shared(By::App),
            other => panic!("no field is called {other}"),
        };
        if self.deleted_in_service && field != "name" {
            // Nobody may have seen what was written there before it was deleted.
            allowed.insert(by_app.filter(|_| field != "stage").unwrap_or(base));
            allowed.extend(self.by_service.get(field).into_iter().flatten().cloned());
        }
        allowed
    }
}
