//! Why an observation is not believed yet.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a copy is read again before an observation of it is believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It says that a copy is gone which may have been made just now: the read may lag.
    GoneTooSoon,
    /// It shows a copy that is known to be gone: the read may lag behind the delete.
    BackTooSoon,
    /// It carries the key of a write that is not in flight: an earlier write of ours, or a change made after one.
    AnotherWritesKey,
    /// The copy has just changed, and a read may lag behind that.
    ReadMayLag,
    /// A value stood there before, so it may be an older state.
    ValueReturned,
    /// The source's clock says that it is older than a state we know.
    ClockWentBack,
    /// It has the order of a state that we know, and other contents.
    SameOrderOtherContents,
    /// Our newer value is on its way to the copy, and nothing tells whether it had arrived.
    OursMayBeOnItsWay,
}

impl Doubt {
    /// All of them.
    pub const ALL: [Doubt; 8] = [
        Doubt::GoneTooSoon,
        Doubt::BackTooSoon,
        Doubt::AnotherWritesKey,
        Doubt::ReadMayLag,
        Doubt::ValueReturned,
        Doubt::ClockWentBack,
        Doubt::SameOrderOtherContents,
        Doubt::OursMayBeOnItsWay,
    ];

    /// The name in tables; the same as in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Doubt::GoneTooSoon => "gone_too_soon",
            Doubt::BackTooSoon => "back_too_soon",
            Doubt::AnotherWritesKey => "another_writes_key",
            Doubt::ReadMayLag => "read_may_lag",
            Doubt::ValueReturned => "value_returned",
            Doubt::ClockWentBack => "clock_went_back",
            Doubt::SameOrderOtherContents => "same_order_other_contents",
            Doubt::OursMayBeOnItsWay => "ours_may_be_on_its_way",
        }
    }

    /// The doubt of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.as_str() == name)
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::GoneTooSoon => "the copy may have been made just now, and a read may lag",
            Doubt::BackTooSoon => "the copy is known to be gone, and a read may lag",
            Doubt::AnotherWritesKey => "it carries the key of a write that is not under way",
            Doubt::ReadMayLag => "the copy has just changed, and a read may lag",
            Doubt::ValueReturned => "a value stood there before",
            Doubt::ClockWentBack => "the system's clock says that it is older than a known state",
            Doubt::SameOrderOtherContents => {
                "the system gives it the order of a known state with other contents"
            }
            Doubt::OursMayBeOnItsWay => "our newer value is under way to the copy and may not have arrived",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_tables_is_the_name_in_the_history() {
        for doubt in Doubt::ALL {
            assert_eq!(Doubt::parse(doubt.as_str()), Some(doubt));
            assert_eq!(serde_json::to_value(doubt).unwrap(), doubt.as_str());
        }
    }
}
