//! Copies whose own read fails although their system answers: each is tried again by itself, and set aside when it was
//! tried often enough. What a listing shows of it settles it meanwhile.

use crate::inbound::draft::CommitDraft;
use crate::inbound::facts::Fact;
use crate::parts::assembly::Parts;
use crate::ports::store::SignalReason;
use avowal_core::record::CopyKey;
use avowal_core::record::observation::Channel;

/// Asks for another read of a copy whose read has failed, each time later, and sets it aside after the last try.
pub(crate) fn read_again_later(draft: &mut CommitDraft<'_>, fact: &Fact<'_>, reason: &str) {
    let (parts, batch) = (draft.parts, draft.batch);
    let (settings, key) = (&parts.settings, &fact.copy);
    parts.failing_reads().failed(key);
    let is_aside = draft.quarantined.contains(key);
    if batch.attempts >= settings.attempts_max {
        let reason = format!("it cannot be read: {reason}. Mend that there and replay the item");
        draft.quarantine(key, reason, String::new());
    } else if !(draft.awaited.contains(key) || is_aside && batch.attempts == 0) {
        // A read that a webhook asked for is still the first look at the copy.
        let reason = match batch.channel {
            Channel::Signal => SignalReason::Webhook,
            Channel::Webhook
            | Channel::Feed
            | Channel::Listing
            | Channel::Read
            | Channel::Receipt
            | Channel::Manual => SignalReason::ReadFailed,
        };
        draft.ask_for_read(key, reason, settings.backoff_ms(batch.attempts));
    }
}

/// Whether a listing or a feed has the last word about a copy, because it cannot be read by itself, or was set aside.
pub(crate) fn is_settled_by_listing(draft: &CommitDraft<'_>, key: &CopyKey) -> bool {
    match draft.batch.channel {
        Channel::Listing | Channel::Feed => {
            draft.parts.failing_reads().contains(key) || draft.quarantined.contains(key)
        }
        Channel::Webhook | Channel::Signal | Channel::Read | Channel::Receipt | Channel::Manual => false,
    }
}

/// Takes note of the copies that could be read.
pub(crate) fn note_read(parts: &Parts, keys: impl Iterator<Item = CopyKey>) {
    let mut failing = parts.failing_reads();
    keys.for_each(|key| failing.succeeded(&key));
}
