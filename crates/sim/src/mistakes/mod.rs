//! In here: mistakes that a sync engine might make, planted from outside to prove that the simulator finds them.
//! Never in here: a hook in product code. Where a seam exists, the mistake is made by what stands there: the store
//! ([`store`]), the connector ([`system`]), the rules or the settings ([`rules`]). Every other mistake is a file in
//! `crates/sim/mistakes`, which [`edit`] applies to a copy of the workspace ([`copy`]). Begin with [`Mistake`].

pub mod copy;
pub mod edit;
pub mod rules;
pub mod store;
pub mod system;

/// A mistake that is made at a seam.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Delivery ids are not remembered.
    MissDedupeKey,
    /// The feed's position is stored before its facts.
    AdvanceCursorEarly,
    /// A commit that met a conflict counts as durable.
    IgnoreConflict,
    /// A commit of unknown outcome counts as durable.
    AssumeCommitted,
    /// The stored state is not the fold of the history.
    StateBesideHistory,
    /// Events do not carry the hash of the one before.
    BreakChain,
    /// A cleared field counts as one that was not shown.
    NullAsAbsent,
    /// A field that was not shown counts as cleared.
    AbsentAsNull,
    /// What cannot be read is passed over.
    DropUnreadable,
    /// A create of unknown outcome is repeated although a search would have found its copy.
    DoubleCreateAfterTimeout,
    /// A write of unknown outcome is repeated without a look at the copy.
    ResendWithoutLook,
    /// A lost answer counts as success.
    AssumeConfirmed,
    /// Writes go out without their precondition.
    SkipPrecondition,
    /// A system that asks for a pause is written to all the same.
    IgnoreRetryAfter,
    /// Untrusted clocks of two systems are compared.
    CompareAcrossClocks,
    /// A delete prevails over edits that it has not seen.
    DeleteOverEdits,
    /// Everybody may change every field.
    IgnoreOwner,
    /// A refused change is left standing.
    SkipRevert,
    /// The bound on writes a second is not kept.
    IgnoreRate,
    /// The guard on deletes is not asked.
    IgnoreGuard,
    /// Nobody asks which systems are stopped.
    IgnoreStop,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 21] = [
        Mistake::MissDedupeKey,
        Mistake::AdvanceCursorEarly,
        Mistake::IgnoreConflict,
        Mistake::AssumeCommitted,
        Mistake::StateBesideHistory,
        Mistake::BreakChain,
        Mistake::NullAsAbsent,
        Mistake::AbsentAsNull,
        Mistake::DropUnreadable,
        Mistake::DoubleCreateAfterTimeout,
        Mistake::ResendWithoutLook,
        Mistake::AssumeConfirmed,
        Mistake::SkipPrecondition,
        Mistake::IgnoreRetryAfter,
        Mistake::CompareAcrossClocks,
        Mistake::DeleteOverEdits,
        Mistake::IgnoreOwner,
        Mistake::SkipRevert,
        Mistake::IgnoreRate,
        Mistake::IgnoreGuard,
        Mistake::IgnoreStop,
    ];

    /// The mistake of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mistake| format!("{mistake:?}") == name)
    }
}
