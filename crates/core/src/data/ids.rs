//! Newtypes for every identifier, each saying what it survives.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::borrow::Borrow;
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $ty:ident) => {
        $(#[$doc])*
        ///
        /// Up to 23 bytes stand in the value itself: names are cloned and compared so often, and on so many threads, that
        /// a shared allocation would cost more than the copy.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $ty(SmolStr);

        impl $ty {
            /// Wraps a text as this kind of identifier, unchanged.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(SmolStr::new(text))
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $ty {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $ty {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $ty {
            fn from(text: String) -> Self {
                Self(SmolStr::from(text))
            }
        }
    };
}

name! {
    /// The configured name of a participant (`app`, `crm`). Stable for the life of a store: dots carry it.
    SystemName
}
name! {
    /// The configured name of a kind of record (`customer`). Stable for the life of a store.
    EntityName
}
name! {
    /// The canonical name of a field (`email`). Remote column names are mapped to it at the edge.
    FieldName
}
name! {
    /// Our own id of one business thing. Survives merges, moves and id changes in every system.
    RecordId
}
name! {
    /// The id a system gives its copy, as text. A delete and re-create gets a new one; a merge may change it.
    RemoteId
}

/// The number of one run: higher than those of all runs that began before in the same store. Survives for the life of
/// the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(u64);

impl RunId {
    /// Wraps a number.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, as people type it.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl SystemName {
    /// The name under which a person's decisions mint dots. No system may be configured with it.
    pub const OPERATOR: &'static str = "operator";

    /// The participant that stands for named persons.
    pub fn operator() -> Self {
        Self::new(Self::OPERATOR)
    }

    /// Whether this is the participant that stands for named persons.
    pub fn is_operator(&self) -> bool {
        self.as_str() == Self::OPERATOR
    }
}
