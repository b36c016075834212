//! The append-only history: events, their hash chain, and the state that is their fold.
//!
//! Never in here: a decision. Events say what happened; `decide` decides what shall happen.
//! Begin with `body.rs`: the list of everything that may happen to a record.
//!
//! Each record has its own stream: a dense sequence from 1 and a chain of hashes. A change of one byte breaks
//! the chain at that event; a cut tail disagrees with the head that the record's state carries.

mod body;
mod chain;
pub mod chronicle;
mod doubt;
mod event;
mod evidence;
pub mod fold;
mod seal;

pub use body::{
    Body, Classification, ConfirmedBy, Failure, FieldRelation, FieldSeen, FieldStored, LinkReason, Loser,
    RecommendedAction, ReviewAnswer,
};
pub use chain::{ChainVerifier, HistoryError};
pub use doubt::Doubt;
pub use event::{Context, IntegrationEvent, NewEvent};
pub use evidence::{Basis, Evidence, Strength};
