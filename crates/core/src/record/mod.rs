//! The nouns: a record with its beliefs and copies, an observation of a copy, an outgoing change, a reason.
//!
//! Never in here: a rule, an event, a decision.
//! Begin with `state.rs`: everything that is known of one record.

mod copy_key;
pub mod intent;
mod misread;
pub mod observation;
pub mod reason;
mod state;
mod subject;

pub use copy_key::CopyKey;
pub use misread::Misread;
pub use state::*;
pub use subject::Subject;
