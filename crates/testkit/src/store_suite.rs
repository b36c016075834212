//! The conformance suite that every store runs: call [`store_suite!`](crate::store_suite!) once, in a module of its own.
//!
//! Each case takes an empty store. Cases print the seed of what they generate where it matters.

#![allow(clippy::unwrap_used)]

pub mod claims;
pub mod concurrent;
pub mod conflicts;
pub mod generate;
pub mod lags;
pub mod reconciliations;
pub mod runs;
pub mod sample;
pub mod schedule;
pub mod states;
pub mod stops;
pub mod tables;

use avowal_core::history::{ChainVerifier, IntegrationEvent};
use avowal_core::record::Record;
use avowal_engine::ports::store::{
    BATCH_RECORDS_MAX, Commit, CommitOutcome, Counts, OpenReview, QuarantineItem, Store,
};

/// Generates one test for each case. `$make` is an expression of `(guard, Arc<dyn Store>)`, evaluated anew for
/// every case; the guard (a temporary folder, say) is dropped after the store.
#[macro_export]
macro_rules! store_suite {
    ($make:expr) => {
        $crate::store_suite! { @cases $make;
            states: round_trip_of_generated_states, round_trip_of_every_event, same_id_in_one_commit_continues,
                locate_answers_in_order, match_keys_are_replaced, tombstones_match_as_told, scans_are_ordered,
                counts_add_up, planned_effects_are_counted, own_streams_are_no_records, restate_replaces_state_and_keeps_history, deep_and_odd_values_survive;
            conflicts: conflict_leaves_nothing, stale_sequence, missing_record_needs_zero, stale_cursor,
                cursor_moves_step_by_step, repeated_delivery, delivery_twice_in_one_commit, taken_link,
                link_twice_in_one_commit, remote_ids_may_change_hands, dead_copy_keeps_its_link, oversized_commit;
            schedule: new_intents_are_due_at_once, delays_hold_back, reasons_of_delays_are_listed, unchanged_record_is_compared, same_key_keeps_schedule,
                other_key_is_due_at_once, settled_intent_is_gone, intents_in_flight_are_found,
                signals_are_followed_in_order, next_due_is_the_earliest;
            tables: repeated_deliveries_are_seen, reviews_open_and_close, reviews_are_refreshed,
                quarantine_opens_and_closes, same_item_is_one, cursors_are_kept_apart,
                every_position_survives;
            claims: claims_are_exclusive, dropped_claims_are_free, claims_hold_up_no_commit, one_of_many_claims_wins,
                shares_divide_what_is_due, sole_keys_have_no_other_carrier, one_of_many_begins_wins,
                old_deliveries_are_forgotten;
            lags: the_longest_lag_is_kept;
            reconciliations: reconciliations_are_kept_and_forgotten;
            runs: runs_are_kept_and_end_once, events_are_found_by_their_run, quiet_runs_are_forgotten;
            stops: stops_stand_until_lifted, the_last_lifting_is_kept, installation_stays;
            concurrent: many_writers_all_durable, one_of_many_competing_commits_wins, readers_see_whole_commits;
        }
    };
    (@cases $make:expr; $($group:ident: $($case:ident),+;)+) => {
        $(mod $group {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let (_guard, store) = $make;
                    $crate::store_suite::$group::$case(store).await;
                }
            )+
        })+
    };
}

/// Everything that a store shows through its port: equal contents mean equal stores.
#[derive(Clone, PartialEq, Debug)]
pub struct Contents {
    /// All states.
    pub records: Vec<Record>,
    /// All events.
    pub events: Vec<IntegrationEvent>,
    /// The open questions.
    pub reviews: Vec<OpenReview>,
    /// The open quarantine items.
    pub quarantine: Vec<QuarantineItem>,
    /// The figures.
    pub counts: Counts,
}

/// Reads everything, page by page.
pub async fn contents(store: &dyn Store) -> Contents {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let after = records.last().map(|record| record.id.clone());
        let page = store.scan_records(after, 100).await.unwrap();
        if page.is_empty() {
            break;
        }
        records.extend(page);
    }
    let mut events: Vec<IntegrationEvent> = Vec::new();
    loop {
        let after = events.last().map(|event| (event.record.clone(), event.seq));
        let page = store.scan_events(after, 100).await.unwrap();
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let counts = store.counts().await.unwrap();
    let open = store.open_counts().await.unwrap();
    let same = (&counts.intents, &counts.deletes, counts.reviews, counts.signals);
    assert_eq!(
        (&open.intents, &open.deletes, open.reviews, open.signals),
        same,
        "what is open is counted twice"
    );
    Contents {
        records,
        events,
        reviews: store.open_reviews(BATCH_RECORDS_MAX).await.unwrap(),
        quarantine: store.quarantined(BATCH_RECORDS_MAX).await.unwrap(),
        counts,
    }
}

/// Checks that every record's events are dense, chained, unchanged and end where its state does.
pub async fn verify_history(store: &dyn Store) {
    let Contents { records, events, .. } = contents(store).await;
    for record in records {
        let mut chain = ChainVerifier::new(record.id.clone());
        for event in events.iter().filter(|event| event.record == record.id) {
            chain.push(event).unwrap();
        }
        chain.finish(record.seq, record.head).unwrap();
    }
}

/// Commits and expects success.
pub(crate) async fn committed(store: &dyn Store, commit: Commit) {
    assert_eq!(store.commit(commit).await, Ok(CommitOutcome::Committed));
}

/// Commits, expects a conflict, and that it has left no trace.
pub(crate) async fn conflicts(store: &dyn Store, commit: Commit) {
    let before = contents(store).await;
    let outcome = store.commit(commit).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflict { .. }), "{outcome:?} is no conflict");
    assert_eq!(contents(store).await, before, "a conflict left traces");
}
