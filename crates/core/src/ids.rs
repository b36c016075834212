//! Newtypes for every identifier, each saying what it survives.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $ty:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $ty(Arc<str>);

        impl $ty {
            /// Wraps a text as this kind of identifier, unchanged.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        // The same name is nearly always the same allocation, so that is asked first.
        impl PartialEq for $ty {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
            }
        }

        impl Hash for $ty {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl PartialOrd for $ty {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $ty {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
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
                Self(Arc::from(text))
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
