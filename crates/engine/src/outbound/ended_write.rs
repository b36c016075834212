//! One write that has ended, and what its recording is made of: the intent is confirmed or failed, what the copy
//! shows is judged like any observation, and what is left to do is scheduled.

use crate::outbound::outcome::Ending;
use crate::outbound::outgoing::OutgoingWrite;
use crate::outbound::turn::Target;
use crate::parts::match_keys::is_another_thing;
use crate::parts::translate::Canonical;
use crate::parts::waiting::Waiting;
use crate::ports::connector::{Change, RemoteState};
use crate::ports::store::{Commit, IntentDelay, NewQuarantineItem, NewSignal, SignalReason};
use avowal_core::data::ids::{FieldName, RecordId, RemoteId};
use avowal_core::data::spelling::is_spelling_of;
use avowal_core::data::time::Timestamp;
use avowal_core::data::value::Value;
use avowal_core::decide::decide;
use avowal_core::decide::lifecycle::link;
use avowal_core::explain::failure_words;
use avowal_core::history::chronicle::Chronicle;
use avowal_core::history::{Basis, Body, ConfirmedBy, Evidence, Failure, LinkReason};
use avowal_core::outgoing::confirm::{CreateMatch, Receipt, confirm, create_match, fail};
use avowal_core::outgoing::plan::{is_still_wanted, plan};
use avowal_core::policy::EntityPolicy;
use avowal_core::policy::translate::Understood;
use avowal_core::record::Copy;
use avowal_core::record::CopyKey;
use avowal_core::record::intent::{Intent, IntentStatus, Operation};
use avowal_core::record::observation::{Channel, CopyState, Look, Observation, Place};
use avowal_core::record::reason::FailureReason;
use std::sync::Arc;

/// What may help a write that had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HelpedBy {
    /// Only time.
    Time,
    /// Another write to the same system, which it waits for.
    AnotherWrite,
}

/// What became of a write that should wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    /// It is not wanted any more.
    Moot,
    /// It waits, and another write was confirmed since its last try.
    WithProgress,
    /// It waits, and nothing was confirmed since its last try.
    InVain,
}

/// One write that has ended, and its record.
pub(crate) struct EndedWrite<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) policy: &'a Arc<EntityPolicy>,
    pub(crate) item: &'a OutgoingWrite,
    pub(crate) ending: &'a Ending,
    /// The copy's canonical contents, if it was shown and could be read.
    pub(crate) shown: Option<&'a Understood>,
    /// The other record with which the copy is linked already.
    pub(crate) linked_elsewhere: Option<&'a RecordId>,
    /// Whether the system's feed is a commit log.
    pub(crate) has_log: bool,
    /// How many writes to the system had been confirmed before this one was tried.
    pub(crate) confirmed_before: u64,
    /// Whether other writes to the system are planned, which may help this one.
    pub(crate) others_wait: bool,
    /// Set where the run need not wait for the next try.
    pub(crate) is_put_off: bool,
    /// When the system was asked.
    pub(crate) asked_at: Timestamp,
    pub(crate) chronicle: Chronicle,
    /// The commit that records it.
    pub(crate) commit: &'a mut Commit,
}

impl EndedWrite<'_> {
    /// The record's intent to the system, whichever it is by now.
    fn intent(&self) -> Option<&Intent> {
        self.chronicle.record().intents.get(self.target.system)
    }

    /// The copy with which the record is linked in the system.
    pub(crate) fn linked_copy(&self) -> Option<&RemoteId> {
        self.chronicle.record().copies.get(self.target.system).map(|copy| &copy.remote_id)
    }

    pub(crate) fn link(&mut self, id: &RemoteId, how: LinkReason) {
        link(&mut self.chronicle, self.target.system, id, how);
    }

    /// Records that the write was not confirmed. Answers whether its intent was still open.
    pub(crate) fn fail(&mut self, failure: Failure, reason: &FailureReason) -> bool {
        fail(&mut self.chronicle, self.target.system, &self.item.write.key, failure, reason.clone())
    }

    /// Plans what the copies of the record lack now.
    pub(crate) fn plan(&mut self) {
        plan(self.policy, &mut self.chronicle, None);
    }

    /// Confirms the intent. Answers whether the copy holds what was sent.
    pub(crate) fn confirm(&mut self, id: &RemoteId, how: LinkReason, by: ConfirmedBy) -> bool {
        self.confirm_with(id, how, by, true)
    }

    /// Confirms the intent and leaves out what a read has shown, for that came later.
    pub(crate) fn confirm_unshown(&mut self, id: &RemoteId, by: ConfirmedBy) -> bool {
        self.confirm_with(id, LinkReason::Created, by, false)
    }

    fn confirm_with(&mut self, id: &RemoteId, how: LinkReason, by: ConfirmedBy, with_copy: bool) -> bool {
        let key = self.item.write.key.as_str();
        if self.intent().is_none_or(|intent| intent.key != key) {
            // An echo has confirmed it in the meantime.
            return true;
        }
        if self.item.write.operation == Operation::Create && self.linked_copy() != Some(id) {
            self.link(id, how);
        }
        let copy = self.ending.copy().filter(|_| with_copy);
        let shown = self.shown.filter(|_| with_copy);
        let nothing = Canonical::new();
        let receipt = Receipt {
            system: self.target.system,
            key,
            after: shown.map_or(&nothing, |row| &row.fields),
            order: copy.and_then(|copy| copy.order.clone()),
            version: copy.and_then(|copy| copy.version.clone()),
            by,
        };
        confirm(&mut self.chronicle, &receipt, Evidence::proven(Basis::Confirmed { by }))
    }

    /// Ends the intent for good, and keeps the write in quarantine for a person.
    pub(crate) fn reject(&mut self, reason: &FailureReason) {
        if !self.fail(Failure::Rejected, reason) {
            return;
        }
        self.chronicle.push(Body::Quarantined {
            system: self.target.system.clone(),
            remote_id: self.item.write.id.clone(),
            reason: reason.clone(),
        });
        let item = self.quarantine_item(self.words(reason));
        self.commit.quarantine.push(item);
        self.plan();
    }

    /// Records that this try had no effect, for a reason that may pass. The first time that is an event; a further try
    /// only changes the schedule. Where something else is to be written by now, that is planned instead.
    pub(crate) fn wait(
        &mut self,
        after_ms: Option<u64>,
        reason: &FailureReason,
        helped_by: HelpedBy,
    ) -> Waited {
        let key = self.item.write.key.as_str();
        let Some(status) = self.intent().filter(|intent| intent.key == key).map(|intent| intent.status)
        else {
            return Waited::Moot;
        };
        if !is_still_wanted(self.policy, self.chronicle.record(), self.target.system) {
            self.fail(Failure::Retry, reason);
            self.plan();
            return Waited::Moot;
        }
        if status != IntentStatus::Waiting {
            self.fail(Failure::Waits, reason);
        }
        let delay = self.delay_by(after_ms, reason);
        let confirmed_before = (helped_by == HelpedBy::AnotherWrite).then_some(self.confirmed_before);
        let waiting = Waiting::new(self.item.write.key.clone(), delay.clone(), confirmed_before);
        self.commit.delays.push(delay);
        match self.target.parts.waiting().wait(waiting) {
            true => Waited::WithProgress,
            false => Waited::InVain,
        }
    }

    /// Keeps a write in quarantine for a person to see, although it is tried again.
    pub(crate) fn set_aside(&mut self, reason: &FailureReason) {
        self.chronicle.push(Body::Quarantined {
            system: self.target.system.clone(),
            remote_id: self.item.write.id.clone(),
            reason: reason.clone(),
        });
        let item = self.quarantine_item(self.words(reason));
        self.commit.quarantine.push(item);
    }

    /// How often the write has been tried without effect, with this time.
    pub(crate) fn tries(&self) -> u32 {
        self.item.failures.saturating_add(1)
    }

    /// Records that the outcome is unknown, and schedules the next attempt to resolve it.
    pub(crate) fn remain_unknown(&mut self, after_ms: Option<u64>, reason: &FailureReason) {
        let failures = self.item.failures;
        // Recorded once. Further attempts without success only change the schedule.
        if self.intent().map(|intent| intent.status) != Some(IntentStatus::Unknown) {
            self.fail(Failure::Unknown, reason);
        }
        let settings = &self.target.parts.settings;
        if failures == settings.attempts_max {
            let item = self.quarantine_item(format!("the outcome stays unknown: {}", self.words(reason)));
            self.commit.quarantine.push(item);
        }
        if let Some(after_ms) = self.look_again_ms(reason) {
            return self.delay(Some(after_ms), reason);
        }
        let is_repeatable = self.target.capabilities().idempotent;
        let look_up_ms = match is_repeatable {
            true => settings.settle_ms,
            false => self.target.parts.look_up_after_ms(self.target.system),
        };
        self.delay(after_ms.or((failures == 0).then_some(look_up_ms)), reason);
    }

    /// When to look again for what may only be shown later: at the latest when every lag is over.
    fn look_again_ms(&self, reason: &FailureReason) -> Option<u64> {
        let Self { target, item, .. } = self;
        let is_shown_later = matches!(
            reason,
            FailureReason::NotShownYet | FailureReason::NotShown { .. } | FailureReason::NothingShown
        );
        let settings = &target.parts.settings;
        let now = target.parts.clock.now();
        let age_ms = target.parts.sent().get(&item.write.key).map(|sent| sent.age_ms(now))?;
        let lag_ms = target.parts.longest_lag_ms(target.system);
        let left_ms = u64::try_from(lag_ms.saturating_sub(age_ms)).ok().filter(|ms| *ms > 0);
        let usual = settings.backoff_ms(item.failures).max(settings.settle_ms);
        let next = match left_ms {
            Some(left) => usual.min(left),
            // A listing is asked for meanwhile.
            None if item.failures <= settings.attempts_max => settings.settle_ms,
            None => usual,
        };
        is_shown_later.then_some(next)
    }

    /// The fields of an update that show what stood there before it, although something else was sent.
    pub(crate) fn untaken(&self) -> Vec<FieldName> {
        let both = self.intent().zip(self.shown).zip(self.known_copy());
        let Some(((intent, shown), copy)) = both.filter(|((intent, _), _)| {
            intent.key == self.item.write.key && intent.operation == Operation::Update
        }) else {
            return Vec::new();
        };
        let is_untaken = |field: &FieldName, sent: &Value| {
            let shown = shown.fields.get(field)?;
            let before = copy.fields.get(field)?;
            Some(before.content == *shown && !is_spelling_of(shown, sent) && !before.is_equivalent_to(sent))
        };
        let fields = intent.fields.iter();
        fields
            .filter(|(field, outgoing)| is_untaken(field, &outgoing.value).unwrap_or(false))
            .map(|(field, _)| field.clone())
            .collect()
    }

    /// Whether the system has confirmed an update of which nothing is seen. What a log will show is believed.
    pub(crate) fn shows_nothing(&self) -> bool {
        self.item.write.operation == Operation::Update && !self.has_log && self.ending.copy().is_none()
    }

    /// Whether the write is still the one that waits for its end.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.intent().is_some_and(|intent| intent.key == self.item.write.key)
    }

    /// The system has said that the write was done.
    pub(crate) fn acknowledge(&self) {
        self.target.parts.sent().acknowledge(&self.item.write.key);
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.target.parts.sent().get(&self.item.write.key).is_some_and(|sent| sent.is_acknowledged)
    }

    /// The copy shows what stood there before a write that its system says was done: its reads may be that late.
    pub(crate) fn miss(&self) {
        self.target.parts.sent().miss(&self.item.write.key, self.asked_at);
    }

    /// The copy shows the write after all, perhaps later than a look that missed it.
    pub(crate) fn shows_at_last(&self) {
        let parts = self.target.parts;
        parts.note_shown(self.target.system, &self.item.write.key);
    }

    /// The system has refused this attempt, so only an earlier one may have an effect yet.
    pub(crate) fn note_refused_attempt(&self) {
        self.target.parts.sent().take_back(&self.item.write.key);
    }

    /// Whether an attempt that got no answer is so long ago that its effect would be there by now.
    pub(crate) fn is_past_every_lag(&self) -> bool {
        let parts = self.target.parts;
        let lag_ms = parts.longest_lag_ms(self.target.system);
        parts.sent().get(&self.item.write.key).is_some_and(|sent| sent.age_ms(self.asked_at) >= lag_ms)
    }

    /// Whether the system's lag may explain that nothing of the write is seen.
    pub(crate) fn may_be_shown_later(&self) -> bool {
        let parts = self.target.parts;
        let lag_ms = parts.longest_lag_ms(self.target.system);
        let age_ms = parts.sent().get(&self.item.write.key).map(|sent| sent.age_ms(self.asked_at));
        age_ms.is_some_and(|age| age < lag_ms)
    }

    /// The next attempt is made as soon as another write to the system is confirmed, if that is sooner than its delay.
    pub(crate) fn be_helped_by_another_write(&mut self) {
        let scheduled = self.commit.delays.iter().rfind(|delay| delay.record == self.item.record);
        let Some(delay) = scheduled.cloned() else { return };
        let key = self.item.write.key.clone();
        self.target.parts.waiting().wait(Waiting::new(key, delay, Some(self.confirmed_before)));
    }

    /// Schedules the next attempt, after `after_ms` or after the usual delay.
    pub(crate) fn delay(&mut self, after_ms: Option<u64>, reason: &FailureReason) {
        let delay = self.delay_by(after_ms, reason);
        self.commit.delays.push(delay);
    }

    fn delay_by(&self, after_ms: Option<u64>, reason: &FailureReason) -> IntentDelay {
        let Self { target, item, .. } = self;
        target.turn.delay(&item.record, item.failures, after_ms, self.words(reason))
    }

    /// Delays the next write to a copy that keeps changing. After the first conflict it may be sent at once.
    pub(crate) fn cool_down(&mut self, reason: &FailureReason) {
        if self.intent().is_none() {
            return;
        }
        if self.item.failures > 0 {
            self.delay(None, reason);
        } else {
            let turn = self.target.turn;
            let now = IntentDelay {
                failures: 1,
                not_before: turn.parts.clock.now(),
                ..turn.delay(&self.item.record, 0, Some(0), self.words(reason))
            };
            self.commit.delays.push(now);
        }
    }

    /// Whether our create made the copy. A copy found by the first attempt existed before it, so it is not ours.
    pub(crate) fn own_create_match(&self) -> CreateMatch {
        if !self.item.is_open() {
            return CreateMatch::Unlikely;
        }
        let both = self.intent().zip(self.shown);
        both.map_or(CreateMatch::Unlikely, |(intent, shown)| create_match(self.policy, intent, &shown.fields))
    }

    /// Judges what the copy shows beside what we wrote: another's change in another field is a change like any other.
    pub(crate) fn observe_copy(&mut self, channel: Channel) {
        if let Some(copy) = self.ending.copy()
            && let Some(shown) = self.copy_state(copy)
        {
            if self.shows_another_thing()
                || !self.known_copy().is_some_and(|known| known.is_found_by(&copy.id))
            {
                return self.plan();
            }
            let is_first_sight = self.known_copy().is_some_and(Copy::is_unseen) && shown != CopyState::Gone;
            let quiescent = is_first_sight || self.is_quiescent(channel);
            let observation = self.observation(copy, shown, channel, quiescent);
            if let Some(doubt) = decide(self.policy, &mut self.chronicle, &observation).doubt() {
                self.ask_for_second_look(&copy.id, SignalReason::SecondLook(doubt));
            }
        }
        self.plan();
    }

    /// Whether the row may be another thing that has got the copy's id. Its system's log will tell.
    fn shows_another_thing(&self) -> bool {
        let both = self.known_copy().filter(|copy| copy.alive).zip(self.shown);
        let (policy, record) = (self.policy, self.chronicle.record());
        self.has_log && both.is_some_and(|(copy, row)| is_another_thing(policy, record, copy, &row.fields))
    }

    /// Judges that the copy does not exist, as the system answered.
    pub(crate) fn observe_gone(&mut self, id: &RemoteId) {
        let gone = Change::bare(id.clone(), RemoteState::Gone);
        let observation = self.observation(&gone, CopyState::Gone, Channel::Read, true);
        // A write is answered by what is there, and not by a late read.
        let observation = Observation { lags: false, ..observation };
        decide(self.policy, &mut self.chronicle, &observation);
    }

    /// Asks for a read of the copy after the quiet time.
    pub(crate) fn ask_for_second_look(&mut self, id: &RemoteId, reason: SignalReason) {
        let parts = self.target.parts;
        self.commit.signals.push(NewSignal {
            copy: CopyKey {
                system: self.target.system.clone(),
                entity: self.target.entity.clone(),
                remote_id: id.clone(),
            },
            not_before: parts.in_ms(parts.settings.settle_ms),
            reason,
            received_at: parts.clock.now(),
            attempts: 0,
        });
    }

    /// The state of the copy in canonical terms; `None` where it could not be read.
    fn copy_state(&self, copy: &Change) -> Option<CopyState> {
        match (&copy.shown, self.shown) {
            (RemoteState::Gone, _) => Some(CopyState::Gone),
            (RemoteState::Present(_), Some(row)) => Some(CopyState::Present(row.fields.clone())),
            (
                RemoteState::Present(_)
                | RemoteState::Unknown
                | RemoteState::Unreadable { .. }
                | RemoteState::Unread { .. },
                _,
            ) => None,
        }
    }

    /// The record's copy in the system, as known so far.
    fn known_copy(&self) -> Option<&Copy> {
        self.chronicle.record().copies.get(self.target.system)
    }

    /// Whether what is shown cannot be older than the known state. An answer shows what its write left; a read may
    /// lag behind that, and behind what came before. Another worker may have seen a later change while the answer was
    /// on its way.
    fn is_quiescent(&self, channel: Channel) -> bool {
        let Self { target, item, .. } = self;
        let is_latest = self.chronicle.record().vector.get(target.system) == item.changes_seen;
        let changed_at = self.known_copy().map(|copy| copy.changed_at);
        let was_quiescent =
            || changed_at.is_none_or(|at| target.parts.was_quiescent(at, self.asked_at, false));
        is_latest && (channel == Channel::Receipt || was_quiescent())
    }

    /// Whether a read may still show what stood in the copy before its last change.
    fn may_lag(&self) -> bool {
        let changed_at = self.known_copy().map(|copy| copy.changed_at);
        let Self { target, asked_at, .. } = self;
        changed_at.is_some_and(|at| target.parts.may_lag(target.system, at, *asked_at))
    }

    /// Whether the copy that is to be deleted, and is not there, may only not be there yet: what made or changed it lately
    /// may be done later than it was said. A log tells the order, so its system cannot lag.
    pub(crate) fn may_come_yet(&self) -> bool {
        self.item.write.operation == Operation::Delete && !self.has_log && self.may_lag()
    }

    fn observation(&self, copy: &Change, shown: CopyState, channel: Channel, quiescent: bool) -> Observation {
        Observation {
            system: self.target.system.clone(),
            entity: self.target.entity.clone(),
            remote_id: copy.id.clone(),
            shown,
            aside: self.shown.map(|row| row.aside.clone()).unwrap_or_default(),
            channel,
            order: copy.order.clone(),
            version: copy.version.clone(),
            correlation: None,
            actor: copy.actor.clone(),
            occurred_at: copy.occurred_at,
            received_at: self.target.parts.clock.now(),
            place: Place::of(self.has_log && channel == Channel::Receipt, copy.order.as_ref(), quiescent),
            look: Look::of(true, quiescent),
            is_repair: false,
            lags: channel != Channel::Receipt && self.may_lag(),
        }
    }

    /// The reason as a person reads it in the schedule and in quarantine.
    fn words(&self, reason: &FailureReason) -> String {
        failure_words(reason, self.target.system)
    }

    fn quarantine_item(&self, reason: String) -> NewQuarantineItem {
        NewQuarantineItem {
            system: self.target.system.clone(),
            entity: self.target.entity.clone(),
            remote_id: self.item.write.id.clone(),
            record: Some(self.item.record.clone()),
            reason,
            payload: Value::Object(self.item.write.fields.clone()).to_string(),
            at: self.target.parts.clock.now(),
        }
    }
}
