//! The table of the decision: one row for each thing that an observation of a linked copy may turn out to be.
//!
//! The rows are asked from first to last, and the first whose guard holds decides. `docs/decision-table.md` is printed
//! from here, so that document and code cannot part.

use crate::decide::sight::Sight;

/// What an observation turned out to be: the name of its row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assessment {
    /// A state that is proven older than one we know.
    Late,
    /// A copy said to be gone that may have been made just now.
    GoneTooSoon,
    /// A copy whose delete we asked for, and which is gone.
    GoneAsAsked,
    /// A copy that was known to be gone.
    AlreadyGone,
    /// A copy that its system has deleted.
    Gone,
    /// A copy known to be gone that is shown again, perhaps by a lagging read.
    BackTooSoon,
    /// A copy that exists again.
    Back,
    /// A copy that shows what we knew.
    Unchanged,
    /// A difference that carries a key of ours, but not that of the write in flight.
    AnotherWritesKey,
    /// A difference in a copy that has just changed.
    ReadMayLag,
    /// A difference in a state whose order we know with other contents.
    SameOrderOtherContents,
    /// A difference in a state that the source's clock calls older.
    ClockWentBack,
    /// A difference that stood there before.
    ValueReturned,
    /// A difference that may or may not have seen our newer value.
    OursMayBeOnItsWay,
    /// A change that the system made.
    Changed,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it is.
    pub assessment: Assessment,
    /// Its name in words.
    pub name: &'static str,
    /// What is known when the row is reached, by the rows before it.
    pub known: &'static str,
    /// What its guard asks, in words.
    pub when: &'static str,
    /// What follows.
    pub outcome: &'static str,
    /// The events that it records, with their evidence.
    pub records: &'static str,
    /// The invariants that it keeps; docs/reliability.md lists them.
    pub keeps: &'static [&'static str],
    /// What its guard asks.
    pub(crate) guard: fn(&Sight<'_>) -> bool,
}

/// Finds the row of an observation. Pure and total: the last row holds for everything that comes to it.
pub fn assess(sight: &Sight<'_>) -> Assessment {
    // The last row has no condition, so there always is a first.
    let first = TABLE.iter().find(|row| (row.guard)(sight));
    first.map_or(Assessment::Changed, |row| row.assessment)
}

impl Row {
    /// All rows, in the order in which they are asked.
    pub fn all() -> &'static [Row] {
        &TABLE
    }
}

impl Assessment {
    /// Whether the outgoing changes are derived anew afterwards. Not where the rest of the differences is unknown, and
    /// not where nothing has changed for any copy.
    pub fn is_followed_by_plan(self) -> bool {
        match self {
            Assessment::Gone | Assessment::Back | Assessment::Unchanged | Assessment::Changed => true,
            Assessment::Late
            | Assessment::GoneTooSoon
            | Assessment::GoneAsAsked
            | Assessment::AlreadyGone
            | Assessment::BackTooSoon
            | Assessment::AnotherWritesKey
            | Assessment::ReadMayLag
            | Assessment::SameOrderOtherContents
            | Assessment::ClockWentBack
            | Assessment::ValueReturned
            | Assessment::OursMayBeOnItsWay => false,
        }
    }
}

pub(crate) static TABLE: [Row; 15] = [
    Row {
        assessment: Assessment::Late,
        name: "late",
        known: "The record is linked with the copy.",
        when: "the system's sequence proves that a newer state of the copy is known",
        outcome: "stale",
        records: "`stale_dropped` if it differs or is gone (proven: the system's own order)",
        keeps: &["I9", "I10"],
        guard: |sight| sight.is_proven_older(),
    },
    Row {
        assessment: Assessment::GoneTooSoon,
        name: "gone too soon",
        known: "Nothing proves that it is older than what we know. If it shows the write in flight, that \
            write is confirmed.",
        when: "it says that the copy is gone, the copy was alive, and neither the system's order nor a \
            final look makes it credible",
        outcome: "look again: `gone_too_soon`",
        records: "nothing",
        keeps: &["I13"],
        guard: |sight| sight.is_gone() && sight.copy.alive && !sight.is_absence_credible(),
    },
    Row {
        assessment: Assessment::GoneAsAsked,
        name: "gone as asked",
        known: "If it says that the copy is gone, that is credible, or was known.",
        when: "it says that the copy is gone, and has shown a planned or sent delete to be done",
        outcome: "confirmation: nothing is left to write, whoever deleted it",
        records: "`intent_confirmed` (proven: the copy does not exist)",
        keeps: &["I3", "I6"],
        guard: |sight| sight.is_delete_done(),
    },
    Row {
        assessment: Assessment::AlreadyGone,
        name: "already gone",
        known: "If it says that the copy is gone, we have not asked for that.",
        when: "it says that the copy is gone, and the copy was known to be gone",
        outcome: "duplicate",
        records: "nothing",
        keeps: &["I3", "I10"],
        guard: |sight| sight.is_gone() && !sight.copy.alive,
    },
    Row {
        assessment: Assessment::Gone,
        name: "gone",
        known: "If it says that the copy is gone, the copy was alive, and the system or a person deleted it \
            there.",
        when: "it says that the copy is gone",
        outcome: "new, or concurrent if the copy had not seen every edit; the rule of deletes judges; then \
            the plan",
        records: "`observed` (proven: the system says so), then `deleted`, `refused` or \
            `manual_review_requested`",
        keeps: &["I1", "I13"],
        guard: |sight| sight.is_gone(),
    },
    Row {
        assessment: Assessment::BackTooSoon,
        name: "back too soon",
        known: "It shows the copy as present.",
        when: "the copy was known to be gone, and it is neither proven newer nor read again in its place",
        outcome: "look again: `back_too_soon`",
        records: "nothing",
        keeps: &["I9"],
        guard: |sight| !sight.copy.alive && !sight.is_return_credible(),
    },
    Row {
        assessment: Assessment::Back,
        name: "back",
        known: "If the copy was known to be gone, it has been made again since.",
        when: "the copy was known to be gone",
        outcome: "new, concurrent or indeterminate, as a change; it also answers whether the record exists; \
            then the plan",
        records: "`observed` with a dot, then what its fields and the rule of deletes say (that of the \
            weakest field)",
        keeps: &["I1", "I13"],
        guard: |sight| !sight.copy.alive,
    },
    Row {
        assessment: Assessment::Unchanged,
        name: "unchanged",
        known: "The copy was alive and is present.",
        when: "no field differs from what last stood in the copy",
        outcome: "confirmation if the copy holds or names a write of ours, else duplicate; then the plan",
        records: "at most one of `echo_recognised` (proven by the key, inferred from the ledger), \
            `duplicate_dropped`, `observed`",
        keeps: &["I3", "I10"],
        guard: |sight| sight.changed.is_empty(),
    },
    Row {
        assessment: Assessment::AnotherWritesKey,
        name: "carries another write's key",
        known: "Some field differs from what last stood in the copy.",
        when: "a first look shows a key of ours, which is not that of the write in flight",
        outcome: "look again: `another_writes_key`. An earlier write came back late, or someone changed the \
            copy after it; an order does not tell, because a receipt without one may have told of something \
            newer",
        records: "nothing",
        keeps: &["I9", "I19"],
        guard: |sight| sight.carries_another_key(),
    },
    Row {
        assessment: Assessment::ReadMayLag,
        name: "read may lag",
        known: "It carries no key of ours, or that of the write in flight, or the copy was read again.",
        when: "it shows no write in flight, and comes too early after the copy's last change to tell the \
            states apart",
        outcome: "look again: `read_may_lag`",
        records: "nothing",
        keeps: &["I9"],
        guard: |sight| sight.may_lag(),
    },
    Row {
        assessment: Assessment::SameOrderOtherContents,
        name: "same order, other contents",
        known: "The system's order, enough time, or our own write gives it a place among the states.",
        when: "it is not the final look, its sequence is the newest that we know, and a field known by then \
            differs",
        outcome: "look again: `same_order_other_contents`. It differs by what we have written since",
        records: "`stale_suspected` (inferred)",
        keeps: &["I1", "I9"],
        guard: |sight| sight.contradicts_its_order(),
    },
    Row {
        assessment: Assessment::ClockWentBack,
        name: "clock went back",
        known: "Its sequence is not the newest that we know, or only fields that we had not seen by then \
            differ.",
        when: "the source's own clock calls it older than a state that we know; and it is not the final look, or the \
            system's lag may explain it, or that state is its answer to our write of a field that differs",
        outcome: "look again: `clock_went_back`, for as long as it takes where it is older than an answer to us",
        records: "`stale_suspected` (inferred)",
        keeps: &["I1", "I9"],
        guard: |sight| sight.has_older_clock(),
    },
    Row {
        assessment: Assessment::ValueReturned,
        name: "value returned",
        known: "Unless it is the final look, no order of the source, true or by clock, speaks against it.",
        when: "it is not the final look, or the system's lag may explain it, a changed value stood in its field \
            before, and no order proves that it was put there anew",
        outcome: "look again: `value_returned`",
        records: "`stale_suspected` (inferred)",
        keeps: &["I1", "I9"],
        guard: |sight| sight.shows_returned_value(),
    },
    Row {
        assessment: Assessment::OursMayBeOnItsWay,
        name: "ours may be on its way",
        known: "Nothing suggests that it is an older state, or the final look has ruled that out: the \
            system changed the copy.",
        when: "a first look, outside a change log, shows a change of a field whose belief is under way to \
            the copy",
        outcome: "look again: `ours_may_be_on_its_way`",
        records: "nothing",
        keeps: &["I5", "I19"],
        guard: |sight| sight.may_cross_ours(),
    },
    Row {
        assessment: Assessment::Changed,
        name: "changed",
        known: "The system has changed the copy, and no doubt is left which another look could remove.",
        when: "always",
        outcome: "new, concurrent or indeterminate; each field is judged for itself by the policy; then the \
            plan",
        records: "`observed`, then what the judgement of each field says (the evidence of how it stands to \
            the belief)",
        keeps: &["I1", "I2", "I4"],
        guard: |_| true,
    },
];
