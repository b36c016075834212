//! What becomes of one linked copy that differed: it agrees after all, nothing can be concluded yet, or it differs, with
//! what the rules would do about each difference. The rules are asked by deciding on a copy of the record, as for any other
//! fact.

use crate::parts::match_keys::is_another_thing;
use crate::ports::connector::Change;
use avowal_core::data::ids::{FieldName, SystemName};
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::decide::decide;
use avowal_core::decide::repair::actions_of;
use avowal_core::explain::action_words;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Context, IntegrationEvent, RecommendedAction};
use avowal_core::policy::{EntityPolicy, Repair};
use avowal_core::record::observation::{Channel, CopyState, Look, Observation, Place};
use avowal_core::record::{Copy, Record, Subject};
use std::collections::BTreeMap;

/// Canonical fields by name.
type Canonical = BTreeMap<FieldName, Value>;

/// One difference, before it has its number.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Found {
    pub(super) subject: Subject,
    pub(super) local: Option<Value>,
    pub(super) external: Option<Value>,
    pub(super) action: RecommendedAction,
    pub(super) repair: Repair,
    pub(super) reason: String,
}

/// What a second look at a copy says.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Verdict {
    /// The copy shows what is believed, or nothing was to be shown.
    Agrees,
    /// Nothing can be concluded yet, for this reason.
    Unsettled(String),
    /// It differs.
    Differs(Vec<Found>),
}

/// One linked copy that is looked at.
pub(super) struct SecondLook<'a> {
    pub(super) policy: &'a EntityPolicy,
    pub(super) system: &'a SystemName,
    pub(super) record: &'a Record,
    pub(super) change: &'a Change,
    /// What it shows; `None` where it is gone.
    pub(super) shown: Option<&'a Canonical>,
    /// When it was read.
    pub(super) asked_at: Timestamp,
    /// How long after a change nothing is concluded, in milliseconds.
    pub(super) settle_ms: u64,
}

impl SecondLook<'_> {
    /// What the look says.
    pub(super) fn verdict(&self) -> Verdict {
        let Some(copy) = self.record.copies.get(self.system) else { return Verdict::Agrees };
        if let Some(reason) = self.unsettled(copy) {
            return Verdict::Unsettled(reason);
        }
        let changed = match (self.shown, copy.alive) {
            (None, false) => return Verdict::Agrees,
            (None, true) => Changed { fields: Canonical::new(), existence: true },
            (Some(shown), alive) => Changed { fields: self.changed(copy, shown), existence: !alive },
        };
        let mut found = self.shown.map(|shown| self.standing(copy, shown)).unwrap_or_default();
        if changed.existence || !changed.fields.is_empty() {
            match self.judged(copy, &changed) {
                Ok(judged) => found.extend(judged),
                Err(reason) => return Verdict::Unsettled(reason),
            }
        }
        found.sort_by(|a, b| a.subject.cmp(&b.subject));
        if found.is_empty() { Verdict::Agrees } else { Verdict::Differs(found) }
    }

    /// Why nothing can be concluded about the copy yet.
    fn unsettled(&self, copy: &Copy) -> Option<String> {
        let system = self.system;
        if let Some(intent) = self.record.intents.get(system) {
            return Some(format!("a write to {system} is under way ({})", intent.status.as_str()));
        }
        let settle = i64::try_from(self.settle_ms).unwrap_or(i64::MAX);
        let since = |at: Timestamp| self.asked_at.millis().saturating_sub(at.millis());
        let is_fresh = |at: Timestamp| at != Timestamp::default() && since(at).abs() < settle;
        if is_fresh(copy.changed_at) {
            return Some(format!("it changed at {}, inside the settle window", copy.changed_at));
        }
        let occurred_at = self.change.occurred_at.filter(|at| is_fresh(*at))?;
        Some(format!("{system} says it changed at {occurred_at}, inside the settle window"))
    }

    /// The fields that show something else than they showed last, and than what is believed. A known spelling is neither.
    fn changed(&self, copy: &Copy, shown: &Canonical) -> Canonical {
        let is_changed = |(field, to): &(&FieldName, &Value)| {
            let believed = self.record.fields.get(*field).is_some_and(|belief| belief.value == **to);
            let known = copy
                .fields
                .get(*field)
                .is_some_and(|shadow| shadow.is_equivalent_to(to) || shadow.is_first_spelled(to));
            !believed && !known
        };
        shown.iter().filter(is_changed).map(|(field, to)| (field.clone(), to.clone())).collect()
    }

    /// The fields that show what they showed last, which is not what is believed, and why that stands.
    fn standing(&self, copy: &Copy, shown: &Canonical) -> Vec<Found> {
        let mut found = Vec::new();
        for (field, to) in shown {
            let Some(belief) = self.record.fields.get(field).map(|belief| &belief.value) else { continue };
            let Some(shadow) = copy.fields.get(field) else { continue };
            let is_known = shadow.is_equivalent_to(to) || shadow.is_first_spelled(to);
            if belief == to || !is_known || shadow.is_equivalent_to(belief) {
                continue;
            }
            let (action, reason) = self.why_it_stands(field, shadow.tolerated);
            found.push(self.found(Subject::Field(field.clone()), Some(to.clone()), action, reason));
        }
        found
    }

    fn why_it_stands(&self, field: &FieldName, is_tolerated: bool) -> (RecommendedAction, String) {
        let system = self.system;
        let ignored = |words: &str| (RecommendedAction::Ignore, format!("the difference is known: {words}"));
        if let Some(review) = self.record.review_of(field) {
            let reason = format!("a person is asked already: review {} waits", review.id);
            return (RecommendedAction::ManualReview, reason);
        }
        if self.record.held.contains_key(system) {
            let reason = format!("{system} refused the write for good; it is set aside in quarantine");
            return (RecommendedAction::ManualReview, reason);
        }
        let column = self.policy.mappings.get(system).and_then(|mapping| mapping.columns.get(field));
        match column {
            _ if is_tolerated => {
                ignored("the rules tolerate it until that copy changes (on_refused = \"ignore\")")
            }
            Some(column) if column.read_only => ignored("the column is never written (read_only)"),
            Some(_) | None => ignored("the rules write nothing there"),
        }
    }

    /// What the rules say about what has changed; the reason where they want another look.
    fn judged(&self, copy: &Copy, changed: &Changed) -> Result<Vec<Found>, String> {
        let repaired =
            |field: &FieldName| self.policy.field(field).is_none_or(|rules| rules.repair != Repair::Never);
        let shown = match self.shown {
            Some(shown) => CopyState::Present(
                shown
                    .iter()
                    .filter(|(field, _)| repaired(field))
                    .map(|(field, value)| (field.clone(), value.clone()))
                    .collect(),
            ),
            None => CopyState::Gone,
        };
        let events = self.decide(shown)?;
        let actions = actions_of(&events, self.system);
        let is_doubtful = self
            .shown
            .is_some_and(|shown| copy.alive && is_another_thing(self.policy, self.record, copy, shown));
        let about = |subject: Subject, external: Option<Value>| {
            let repair = self.repair_of(&subject);
            if repair == Repair::Never {
                let reason = "it is reported only (repair = \"never\")".to_owned();
                return self.found(subject, external, RecommendedAction::Ignore, reason);
            }
            if is_doubtful {
                let reason = self.other_key_words();
                return self.found(subject, external, RecommendedAction::ManualReview, reason);
            }
            let action = actions.get(&subject).copied().unwrap_or(RecommendedAction::Ignore);
            let reason = action_words(&events, self.system, &subject, action);
            self.found(subject, external, action, reason)
        };
        let mut found = Vec::new();
        if changed.existence {
            let exists = self.shown.map(|_| Value::text("exists"));
            found.push(about(Subject::Existence, exists));
        }
        // Of a copy that is there again everything is new; its existence is the difference.
        for (field, to) in changed.fields.iter().filter(|_| copy.alive) {
            found.push(about(Subject::Field(field.clone()), Some(to.clone())));
        }
        Ok(found)
    }

    /// Why a row is not repaired that carries another key: a missed event may be an edit of the key, or a row that got the
    /// id of one that went.
    fn other_key_words(&self) -> String {
        let (system, id) = (self.system, &self.change.id);
        format!(
            "the row carries another key than the copy had: it was edited, or {system} has given the id to another row. \
             If it is the same thing, repair it by name: --only {system}:{id}"
        )
    }

    /// Decides on a copy of the record, and answers the events that would be recorded.
    fn decide(&self, shown: CopyState) -> Result<Vec<IntegrationEvent>, String> {
        let Self { policy, system, record, change, asked_at, .. } = self;
        let observation = Observation {
            order: change.order.clone(),
            version: change.version.clone(),
            actor: change.actor.clone(),
            occurred_at: change.occurred_at,
            place: Place::of(false, change.order.as_ref(), true),
            look: Look::Final,
            is_repair: true,
            ..Observation::new(
                (*system).clone(),
                record.entity.clone(),
                change.id.clone(),
                Channel::Read,
                shown,
                *asked_at,
            )
        };
        let mut chronicle = Chronicle::new((*record).clone(), Context::default(), *asked_at);
        match decide(policy, &mut chronicle, &observation).doubt() {
            None => Ok(chronicle.events().to_vec()),
            Some(_) => {
                Err(format!("what {system} shows looks like an older state, so it is looked at again"))
            }
        }
    }

    fn repair_of(&self, subject: &Subject) -> Repair {
        match subject {
            Subject::Existence => self.policy.repair,
            Subject::Field(field) => self.policy.field(field).map(|rules| rules.repair).unwrap_or_default(),
        }
    }

    fn found(
        &self,
        subject: Subject,
        external: Option<Value>,
        action: RecommendedAction,
        reason: String,
    ) -> Found {
        let local = match &subject {
            Subject::Field(field) => self.record.fields.get(field).map(|belief| belief.value.clone()),
            Subject::Existence => self.record.deleted.is_none().then(|| Value::text("exists")),
        };
        let repair = self.repair_of(&subject);
        Found { subject, local, external, action, repair, reason }
    }
}

/// What is other than the store knows.
struct Changed {
    fields: Canonical,
    /// Whether the copy is gone, or is there again.
    existence: bool,
}

/// Whose a subject is, as the rules say.
pub(super) fn owner_of(policy: &EntityPolicy, subject: &Subject) -> String {
    let owner = match subject {
        Subject::Existence => policy.deletes.owner.as_ref(),
        Subject::Field(field) => policy.field(field).map(|rules| &rules.owner),
    };
    owner.map_or_else(|| "person".to_owned(), ToString::to_string)
}
