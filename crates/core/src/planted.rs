//! Known mistakes that can be switched on to prove that the simulator finds them.
//!
//! Without the feature `planted` every question here is answered `false` at compile time, and nothing remains of
//! it in the product. With the feature, the simulator plants one mistake at a time in its own thread.

/// A mistake that a sync engine might make.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mistake {
    /// A value that equals what we last wrote is dropped as an echo, whoever put it there.
    EchoByValueAlone,
    /// Untrusted clocks of two systems are compared.
    CompareAcrossClocks,
    /// That a value is on its way to the copy is not considered.
    IgnoreSent,
    /// Delivery ids are not remembered.
    MissDedupeKey,
    /// Sets and numbers are merged without what stood there before.
    MergeWithoutBase,
    /// The feed's position is stored before its facts.
    AdvanceCursorEarly,
    /// A cleared field counts as one that was not shown.
    NullAsAbsent,
    /// A field that was not shown counts as cleared.
    AbsentAsNull,
    /// What a listing shows is believed whoever owns the field.
    RepairOutsidePolicy,
    /// A create of unknown outcome is repeated without looking.
    DoubleCreateAfterTimeout,
    /// An accepted change does not move the base of its copy.
    ForgetBase,
    /// The source's own order is not considered.
    IgnoreOrder,
    /// A value that stood there before is believed without a second look.
    BelieveOldValue,
    /// A lost answer counts as success.
    AssumeConfirmed,
    /// A write of unknown outcome is repeated without a look at the copy.
    ResendWithoutLook,
    /// A write carries all fields, not only those that differ.
    WriteAllFields,
    /// A contested field is written although a person has been asked.
    WriteContested,
    /// Writes go out without their precondition.
    SkipPrecondition,
    /// A copy that a listing lacks counts as deleted.
    DeleteOnAbsence,
    /// A delete prevails over edits that it has not seen.
    DeleteOverEdits,
    /// A second copy of one thing takes the place of the first.
    LinkTwice,
    /// Copies are created before the system has been listed.
    CreateBeforeListing,
    /// What cannot be read is passed over.
    DropUnreadable,
    /// A suspicious value is not looked at a second time.
    SkipSecondLook,
    /// A commit that met a conflict counts as durable.
    IgnoreConflict,
    /// A commit of unknown outcome counts as durable.
    AssumeCommitted,
    /// Everybody may change every field.
    IgnoreOwner,
    /// A refused change is left standing.
    SkipRevert,
    /// The key of a write says nothing of the change that caused it.
    ReuseKey,
    /// The record's vector forgets all changes but the last.
    ShrinkVector,
    /// Events do not carry the hash of the one before.
    BreakChain,
    /// The stored state is not the fold of the history.
    StateBesideHistory,
    /// Of two concurrent changes the one that arrives last prevails.
    LastArrivalWins,
    /// The bound on writes a second is not kept.
    IgnoreRate,
    /// The guard on deletes is not asked.
    IgnoreGuard,
    /// A system that asks for a pause is written to all the same.
    IgnoreRetryAfter,
    /// A hint is forgotten before the copy has been read.
    ForgetHintEarly,
    /// What a system made of our value counts as its own change.
    NormalisedIsChange,
    /// What a read shows after a write counts as what the system made of it, whoever put it there.
    ReadBackIsReceipt,
    /// What a delivery shows of an unknown copy is believed without reading it.
    BelieveOldDelivery,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 40] = [
        Mistake::EchoByValueAlone,
        Mistake::CompareAcrossClocks,
        Mistake::IgnoreSent,
        Mistake::MissDedupeKey,
        Mistake::MergeWithoutBase,
        Mistake::AdvanceCursorEarly,
        Mistake::NullAsAbsent,
        Mistake::AbsentAsNull,
        Mistake::RepairOutsidePolicy,
        Mistake::DoubleCreateAfterTimeout,
        Mistake::ForgetBase,
        Mistake::IgnoreOrder,
        Mistake::BelieveOldValue,
        Mistake::AssumeConfirmed,
        Mistake::ResendWithoutLook,
        Mistake::WriteAllFields,
        Mistake::WriteContested,
        Mistake::SkipPrecondition,
        Mistake::DeleteOnAbsence,
        Mistake::DeleteOverEdits,
        Mistake::LinkTwice,
        Mistake::CreateBeforeListing,
        Mistake::DropUnreadable,
        Mistake::SkipSecondLook,
        Mistake::IgnoreConflict,
        Mistake::AssumeCommitted,
        Mistake::IgnoreOwner,
        Mistake::SkipRevert,
        Mistake::ReuseKey,
        Mistake::ShrinkVector,
        Mistake::BreakChain,
        Mistake::StateBesideHistory,
        Mistake::LastArrivalWins,
        Mistake::IgnoreRate,
        Mistake::IgnoreGuard,
        Mistake::IgnoreRetryAfter,
        Mistake::ForgetHintEarly,
        Mistake::NormalisedIsChange,
        Mistake::ReadBackIsReceipt,
        Mistake::BelieveOldDelivery,
    ];
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mistake>> = const { std::cell::Cell::new(None) };
}

/// Makes this mistake, and no other, in this thread from now on.
#[cfg(feature = "planted")]
pub fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}

/// Whether this mistake shall be made.
#[cfg(feature = "planted")]
pub fn planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}

/// Whether this mistake shall be made: never, without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_: Mistake) -> bool {
    false
}
