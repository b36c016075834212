//! Learning how late a system's reads are from what they show after a copy's last change.

use crate::parts::assembly::Parts;
use avowal_core::data::time::Timestamp;
use avowal_core::decide::Decision;
use avowal_core::history::{Classification, Doubt};
use avowal_core::record::CopyKey;

/// Notes by when a copy still seemed to show what stood there before its last change. It counts as the system's lag once
/// the copy shows that change after all.
pub(crate) fn note_lag(
    parts: &Parts,
    key: &CopyKey,
    decision: Decision,
    changed_at: Option<Timestamp>,
    asked_at: Timestamp,
) {
    match decision {
        Decision::LookAgain(Doubt::ClockWentBack | Doubt::ValueReturned | Doubt::ReadMayLag) => {
            let since = changed_at.filter(|at| *at != Timestamp::default());
            let age = since.map(|at| asked_at.millis().saturating_sub(at.millis()));
            if let Some(age) = age.and_then(|age| u64::try_from(age).ok()) {
                parts.lags.suspect(key, age);
            }
        }
        // Other doubts say nothing about time.
        Decision::LookAgain(_) => {}
        Decision::Recorded(Classification::Duplicate | Classification::Confirmation) => {
            parts.lags.caught_up(key)
        }
        Decision::Recorded(_) => parts.lags.changed(key),
    }
}
