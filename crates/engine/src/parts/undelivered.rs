//! What is not delivered, and why: writes of one cause are one line of a report.

use crate::parts::error::EngineError;
use crate::ports::store::{QuarantineItem, Store, WaitingIntent};
use avowal_core::data::ids::{RecordId, SystemName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most writes that are looked through.
const LOOKED_AT_MAX: usize = 100_000;

/// Writes to one system that are not delivered for one cause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Undelivered {
    /// To which system.
    pub system: SystemName,
    /// Whether they are tried again.
    pub state: UndeliveredState,
    /// Why, in words. What differs from one write to the next is left out where there are several.
    pub cause: String,
    /// How many.
    pub count: u64,
    /// One of the records.
    pub example: RecordId,
}

/// What becomes of a write that is not delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndeliveredState {
    /// It is tried again.
    Waiting,
    /// It stands in quarantine until a person has acted.
    SetAside,
}

/// What is not delivered now, by system and cause.
pub(crate) async fn undelivered(store: &dyn Store) -> Result<Vec<Undelivered>, EngineError> {
    let waiting = store.waiting_intents(LOOKED_AT_MAX).await?;
    let set_aside = store.quarantined(LOOKED_AT_MAX).await?;
    Ok(Undelivered::of(&waiting, &set_aside))
}

/// What the writes of a group share: the system, the state and the common part of their reasons.
type Cause<'a> = (&'a SystemName, UndeliveredState, String);

/// A write that is not delivered: its own reason and its record.
type Write<'a> = (&'a String, &'a RecordId);

impl Undelivered {
    /// Groups delayed intents and open quarantine items; those that came in are left out.
    pub fn of(waiting: &[WaitingIntent], set_aside: &[QuarantineItem]) -> Vec<Self> {
        let waiting = waiting.iter().map(|waiting| {
            let WaitingIntent { record, system, reason, .. } = waiting;
            (system, UndeliveredState::Waiting, reason, record)
        });
        let set_aside = set_aside.iter().filter_map(|item| {
            let QuarantineItem { record, system, reason, .. } = item;
            Some((system, UndeliveredState::SetAside, reason, record.as_ref()?))
        });
        let mut groups: BTreeMap<Cause<'_>, Vec<Write<'_>>> = BTreeMap::new();
        for (system, state, reason, record) in waiting.chain(set_aside) {
            groups.entry((system, state, common_part(reason))).or_default().push((reason, record));
        }
        let group = |((system, state, common), writes): (Cause<'_>, Vec<Write<'_>>)| {
            let (first, example) = writes.first()?;
            let is_same = writes.iter().all(|(reason, _)| reason == first);
            Some(Self {
                system: system.clone(),
                state,
                cause: if is_same { (*first).clone() } else { common },
                count: writes.len() as u64,
                example: (*example).clone(),
            })
        };
        groups.into_iter().filter_map(group).collect()
    }
}

/// A reason without what names one row: the contents of parentheses, and words with a digit or an at sign outside of
/// quotes.
pub(crate) fn common_part(reason: &str) -> String {
    let mut outside = String::with_capacity(reason.len());
    let mut depth = 0_u32;
    for letter in reason.chars() {
        match letter {
            '(' => {
                depth += 1;
                if depth == 1 {
                    outside.push_str("(…");
                }
            }
            ')' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    outside.push(')');
                }
            }
            _ if depth == 0 => outside.push(letter),
            _ => {}
        }
    }
    let names_a_row = |word: &str| {
        !word.contains('"') && word.chars().any(|letter| letter.is_ascii_digit() || letter == '@')
    };
    // The status of an answer comes after its place, and is the same for all rows.
    let is_status = |before: &str, word: &str| {
        before.ends_with(':') && word.parse::<u16>().is_ok_and(|status| (300..600).contains(&status))
    };
    let mut before = "";
    let mut words = Vec::new();
    for word in outside.split(' ') {
        let is_hidden = names_a_row(word) && !is_status(before, word);
        words.push(if is_hidden { "…" } else { word });
        before = word;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use avowal_core::data::time::Timestamp;
    use avowal_core::record::intent::IntentStatus;

    #[test]
    fn what_differs_from_row_to_row_is_left_out_of_the_cause() {
        let waiting = |record: &str, reason: &str| WaitingIntent {
            record: record.into(),
            system: "pg".into(),
            status: IntentStatus::Waiting,
            failures: 1,
            not_before: Timestamp::default(),
            reason: reason.to_owned(),
        };
        let key =
            |mail: &str| format!("violates \"people_email_key\": Key (email)=({mail}) exists in row 12");
        let refused = |id: u32| format!("PATCH /contacts/{id}: 401 Unauthorized");
        let writes = [
            waiting("r1", &key("a@x")),
            waiting("r2", &key("b@x (b)")),
            waiting("r3", "out of order"),
            waiting("r4", &refused(1)),
            waiting("r5", &refused(2)),
        ];
        let causes: Vec<_> =
            Undelivered::of(&writes, &[]).into_iter().map(|group| (group.count, group.cause)).collect();
        let expected = [
            (2, "PATCH … 401 Unauthorized".to_owned()),
            (1, "out of order".to_owned()),
            (2, "violates \"people_email_key\": Key (…)=(…) exists in row …".to_owned()),
        ];
        assert_eq!(causes, expected);
    }
}
