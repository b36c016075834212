//! The words: each rule, reason, event and belief as sentences for people.
//!
//! Never in here: a decision, or a text that is stored.
//! Begin with `reasons.rs`: one function for each kind of code; `line.rs` tells an event, `belief.rs` a value.
//!
//! Everything that comes from outside is shortened and escaped before it enters a sentence, so that a hostile
//! value cannot break a line, move a terminal's cursor or flood a log.

mod belief;
mod line;
mod reasons;
mod repair;
mod rules;
mod short;
mod view;

#[cfg(test)]
mod reason_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;

pub use belief::{
    Propagation, PropagationStatus, Reconciled, SetAside, Why, not_understood, not_understood_line, why,
};
pub use line::{event_line, event_origin, event_words};
pub use reasons::{
    basis_words, closing_words, delete_words, evidence_words, failure_words, refusal_words, restore_words,
    review_words, rule_words, subject_words,
};
pub use repair::action_words;
pub use rules::{delete_sentence, field_sentence, match_sentence, policy_sentences};
pub use short::{SHORT_CHARS_MAX, short_text, short_value};
pub use view::{ContentState, CopyView, FieldCopy, FieldView, RecordView, record_view};
