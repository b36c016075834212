//! What is not delivered yet, in words: one line for each cause.

use crate::output::{Mark, Output, counted};
use avowal_engine::ports::store::WaitingIntent;
use avowal_engine::{Undelivered, UndeliveredState};

/// Prints one line for each cause.
pub fn print(undelivered: &[Undelivered], output: &Output) {
    for Undelivered { system, state, cause, count, example } in undelivered {
        let writes = counted(*count, "write", "writes");
        let what = match (state, count) {
            (UndeliveredState::Waiting, 1) => format!("{writes} waits and is tried again"),
            (UndeliveredState::Waiting, _) => format!("{writes} wait and are tried again"),
            (UndeliveredState::SetAside, 1) => format!("{writes} is set aside"),
            (UndeliveredState::SetAside, _) => format!("{writes} are set aside"),
        };
        let what = output.mark(Mark::Warn, format!("{system}: {what}"));
        output.line(format!("{what}: {} (record {example})", cause.trim_end_matches('.')));
    }
}

/// How often a write has been tried, and why it waits.
pub fn tries(waiting: &WaitingIntent) -> String {
    let tries = counted(u64::from(waiting.failures), "try", "tries");
    format!("not delivered after {tries}: {}", waiting.reason)
}
