//! What is recorded for each way in which a write may end: one function per ending, which says what is known there.

use crate::outbound::ended_write::{EndedWrite, HelpedBy, Waited};
use crate::outbound::outcome::Ending;
use crate::ports::connector::{Change, RemoteState};
use crate::ports::store::SignalReason;
use avowal_core::data::ids::{FieldName, RecordId, RemoteId};
use avowal_core::history::{ConfirmedBy, Failure, LinkReason};
use avowal_core::outgoing::confirm::CreateMatch;
use avowal_core::record::intent::Operation;
use avowal_core::record::observation::Channel;
use avowal_core::record::reason::FailureReason;

/// How often a write is tried without effect before a person is shown it, although it is tried on.
const TRIES_SILENT_MAX: u32 = 10;

/// How often a write that a constraint forbids is tried while nothing else is confirmed in its system.
const TRIES_IN_VAIN_MAX: u32 = 10;

/// After how many tries a run does not wait for the next one.
const TRIES_IN_RUN_MAX: u32 = 3;

/// How often a write is sent of which a read shows no effect.
const SENDS_MAX: u32 = 6;

/// How often a create is sent that shows no effect.
const CREATES_SENT_MAX: u32 = 3;

/// How often it is tried at most.
const TRIES_BLOCKED_MAX: u32 = 100;

/// How a report counts a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counted {
    /// It has had its effect.
    Written,
    /// It was not confirmed.
    Failed,
}

impl Counted {
    fn written_if(is_written: bool) -> Self {
        if is_written { Counted::Written } else { Counted::Failed }
    }
}

/// Records how one write ended.
pub(crate) fn record_ending(write: &mut EndedWrite<'_>) -> Counted {
    if let Some(other) = write.linked_elsewhere.filter(|_| write.ending.copy_id().is_some()) {
        return linked_elsewhere(write, other);
    }
    match write.ending {
        Ending::Confirmed { id, was_read, .. } => confirmed(write, id, *was_read),
        Ending::Found { copy } => found(write, copy),
        Ending::ReadBack { copy } => read_back(write, copy),
        Ending::Conflict { reason, .. } => conflict(write, reason),
        Ending::Missing => missing(write),
        Ending::Rejected { reason } => rejected(write, reason),
        Ending::Blocked { reason } => blocked(write, reason),
        Ending::Retry { after_ms, reason } => retry(write, *after_ms, reason),
        Ending::NotDone => not_done(write),
        Ending::StillUnknown { reason } => still_unknown(write, reason),
    }
}

/// The copy that a create made or found is linked with another record, and a copy belongs to one record only. The
/// create is rejected, because a person must merge the two records or change the key.
fn linked_elsewhere(write: &mut EndedWrite<'_>, other: &RecordId) -> Counted {
    write.reject(&FailureReason::LinkedElsewhere { record: other.clone() });
    Counted::Failed
}

/// The system has confirmed the write. The copy's contents are known if the answer or a read has shown them. They
/// become the shadow, and another's change in them is judged. If they are not known, a later read shows them.
fn confirmed(write: &mut EndedWrite<'_>, id: &RemoteId, was_read: bool) -> Counted {
    let (by, channel) = match was_read {
        true => (ConfirmedBy::ReadBack, Channel::Read),
        false => (ConfirmedBy::Receipt, Channel::Receipt),
    };
    let untaken = write.untaken();
    if !untaken.is_empty() && was_read && write.has_log {
        return left_to_the_log(write, id, by);
    }
    if !untaken.is_empty() {
        return untaken_fields(write, untaken, channel);
    }
    if write.shows_nothing() {
        write.acknowledge();
        write.remain_unknown(None, &FailureReason::NothingShown);
        return Counted::Failed;
    }
    let is_written = write.confirm(id, LinkReason::Created, by);
    write.observe_copy(channel);
    if write.ending.wants_read(write.item.write.operation) {
        write.ask_for_second_look(id, SignalReason::UnseenWrite);
    }
    Counted::written_if(is_written)
}

/// The system says that it has done the write, and a read made since shows what stood there before. Somebody may have put it
/// back meanwhile: the log tells, in order.
fn left_to_the_log(write: &mut EndedWrite<'_>, id: &RemoteId, by: ConfirmedBy) -> Counted {
    let is_written = write.confirm_unshown(id, by);
    write.plan();
    Counted::written_if(is_written)
}

/// The system says that it has done the write, and shows what stood in some fields before. A system whose log tells the
/// order keeps the old value there. Any other may show the new one later, so the outcome is open: it is neither confirmed
/// nor a change of the system's own.
fn untaken_fields(write: &mut EndedWrite<'_>, fields: Vec<FieldName>, channel: Channel) -> Counted {
    if write.has_log {
        write.reject(&FailureReason::NotTaken { fields });
        write.observe_copy(channel);
    } else {
        write.acknowledge();
        write.miss();
        write.remain_unknown(None, &FailureReason::NotShown { fields });
    }
    Counted::Failed
}

/// A copy with the record's key exists: our create of unknown outcome made it, or somebody created the same thing.
/// Either way no other record is linked with it, so this record is linked and the copy's contents are judged. An
/// unreadable copy must not be overwritten, so the write is rejected.
fn found(write: &mut EndedWrite<'_>, copy: &Change) -> Counted {
    if write.shown.is_none() {
        write.reject(&FailureReason::FoundUnreadable { remote_id: copy.id.to_string() });
        return Counted::Written;
    }
    match write.own_create_match() {
        CreateMatch::Probable => {
            write.confirm(&copy.id, LinkReason::Created, ConfirmedBy::LookUp);
            write.observe_copy(Channel::Read);
        }
        CreateMatch::Possible => link_found(write, copy, true),
        CreateMatch::Unlikely => link_found(write, copy, false),
    }
    Counted::Written
}

/// Links the record with a copy that it may not have created, and ends the create. If the create may have made the
/// copy, the contents are judged while the create is open, because what it sent and the copy shows may be ours.
fn link_found(write: &mut EndedWrite<'_>, copy: &Change, may_be_ours: bool) {
    let lookup = write.item.write.lookup.iter().flatten();
    let keys: Vec<String> = lookup.map(|(name, value)| format!("{name}={value}")).collect();
    let how = LinkReason::Matched { key: keys.join("&") };
    let linked = write.linked_copy().cloned();
    let is_in_doubt = may_be_ours && linked.is_none();
    if is_in_doubt {
        write.link(&copy.id, how.clone());
        write.observe_copy(Channel::Read);
    }
    let was_open = write.fail(Failure::Conflict, &FailureReason::FoundExisting);
    if was_open && !is_in_doubt {
        if linked.as_ref() != Some(&copy.id) {
            write.link(&copy.id, how);
        }
        write.observe_copy(Channel::Read);
    }
    write.plan();
}

/// The copy was read after an unknown outcome. What it shows is judged first: if our values are in it, that confirms
/// the write; if they are not, the write had no effect. A copy that exists but cannot be read tells neither.
fn read_back(write: &mut EndedWrite<'_>, copy: &Change) -> Counted {
    let is_gone = copy.shown == RemoteState::Gone;
    if write.shown.is_none() && !is_gone {
        write.remain_unknown(None, &FailureReason::CopyUnreadable);
        return Counted::Failed;
    }
    if is_gone && write.may_come_yet() {
        write.remain_unknown(None, &FailureReason::NotShownYet);
        return Counted::Failed;
    }
    let untaken = write.untaken();
    write.observe_copy(Channel::Read);
    if !is_gone && write.is_in_flight() {
        if write.is_acknowledged() && write.may_be_shown_later() {
            write.miss();
            write.remain_unknown(None, &FailureReason::NotShown { fields: untaken });
            return Counted::Failed;
        }
        // What the system says that it has done is not sent again: it would do the same once more.
        if write.is_acknowledged() || write.item.attempt >= SENDS_MAX {
            write.reject(&FailureReason::NotTaken { fields: untaken });
            return Counted::Failed;
        }
    }
    if !write.is_in_flight() {
        write.shows_at_last();
    }
    let failure = if is_gone { Failure::Missing } else { Failure::Retry };
    let was_open = write.fail(failure, &FailureReason::ReadBackShowsNoEffect);
    write.plan();
    Counted::written_if(!was_open)
}

/// The copy was not what the precondition expects, so nothing was written. Its present contents are judged if they
/// could be read, and what still differs is planned anew.
fn conflict(write: &mut EndedWrite<'_>, reason: &FailureReason) -> Counted {
    if write.tries() >= TRIES_IN_VAIN_MAX {
        // After a change of the copy it would be another write, so nothing has changed there that we can see.
        write.reject(reason);
        write.observe_copy(Channel::Read);
        return Counted::Failed;
    }
    write.fail(Failure::Conflict, reason);
    write.observe_copy(Channel::Read);
    write.plan();
    write.cool_down(reason);
    Counted::Failed
}

/// The copy does not exist, as the system answered. An update had no effect; a delete finds its work done, unless the copy
/// may only not be there yet. That the copy is gone is judged like any observation.
fn missing(write: &mut EndedWrite<'_>) -> Counted {
    if write.may_come_yet() {
        write.remain_unknown(None, &FailureReason::NotShownYet);
        return Counted::Failed;
    }
    let is_delete = write.item.write.operation == Operation::Delete;
    if !is_delete {
        write.fail(Failure::Missing, &FailureReason::CopyMissing);
    }
    if let Some(id) = &write.item.write.id {
        write.observe_gone(id);
    }
    write.plan();
    Counted::written_if(is_delete)
}

/// The system refuses the write for good, so that repeating it is useless until a person acts.
fn rejected(write: &mut EndedWrite<'_>, reason: &FailureReason) -> Counted {
    write.reject(reason);
    Counted::Failed
}

/// This attempt provably had no effect. The write is tried again later. If an earlier attempt is open, that one may
/// have had an effect, so the outcome remains unknown.
fn retry(write: &mut EndedWrite<'_>, after_ms: Option<u64>, reason: &FailureReason) -> Counted {
    if write.item.is_open() {
        write.remain_unknown(after_ms, reason);
        return Counted::Failed;
    }
    let waited = write.wait(after_ms, reason, HelpedBy::Time);
    if *reason == FailureReason::MissingButShown {
        // The system contradicts itself. It is asked a few times, and not waited for.
        write.is_put_off = write.tries() >= TRIES_IN_RUN_MAX;
        if waited != Waited::Moot && write.tries() >= write.target.parts.settings.attempts_max {
            write.reject(reason);
        }
        return Counted::Failed;
    }
    // It is tried for as long as it takes, but a person sees it.
    if waited != Waited::Moot && write.tries() == TRIES_SILENT_MAX {
        write.set_aside(reason);
    }
    Counted::Failed
}

/// A constraint of the system forbids the write as things stand there, so it had no effect. Another write that waits may
/// cure that: it is tried again as soon as something was confirmed there, and now and then. When nothing helps, a
/// person has to.
fn blocked(write: &mut EndedWrite<'_>, reason: &FailureReason) -> Counted {
    if write.item.is_open() {
        return blocked_again(write, reason);
    }
    let tries = write.tries();
    let is_leaving = matches!(reason, FailureReason::CopyIsLeaving { .. });
    let is_over = match write.wait(None, reason, HelpedBy::AnotherWrite) {
        Waited::Moot => false,
        Waited::WithProgress => tries >= TRIES_BLOCKED_MAX,
        Waited::InVain => tries >= if write.others_wait { TRIES_BLOCKED_MAX } else { TRIES_IN_VAIN_MAX },
    };
    write.is_put_off = tries >= TRIES_IN_RUN_MAX;
    if is_over && !is_leaving {
        write.reject(reason);
    }
    Counted::Failed
}

/// A constraint forbids a write that was sent before with an unknown outcome. That attempt may have had an effect, and may be
/// what forbids this one, so the outcome remains unknown. But a system that remembers keys would have answered with what
/// the attempt did: once nothing of it can be on its way any more, it had no effect, and what is wanted by now is planned.
fn blocked_again(write: &mut EndedWrite<'_>, reason: &FailureReason) -> Counted {
    write.note_refused_attempt();
    let remembers_keys = write.target.capabilities().idempotent;
    if remembers_keys && write.item.is_outdated && write.is_past_every_lag() {
        write.fail(Failure::Retry, reason);
        write.plan();
    } else {
        write.remain_unknown(None, reason);
        write.be_helped_by_another_write();
    }
    Counted::Failed
}

/// The create of unknown outcome was looked up and no copy has its key, so it had no effect and is planned anew.
fn not_done(write: &mut EndedWrite<'_>) -> Counted {
    if write.item.attempt >= CREATES_SENT_MAX {
        // It was sent often enough, and each time nothing came of it that anybody could see.
        write.reject(&FailureReason::LookUpShowsNoEffect);
        return Counted::Failed;
    }
    write.fail(Failure::Retry, &FailureReason::LookUpShowsNoEffect);
    write.plan();
    Counted::Failed
}

/// Nothing tells whether the write had an effect. It is never assumed; the outcome is looked at again later.
fn still_unknown(write: &mut EndedWrite<'_>, reason: &FailureReason) -> Counted {
    write.remain_unknown(None, reason);
    Counted::Failed
}
