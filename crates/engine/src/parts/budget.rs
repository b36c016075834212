//! How much of its write budget a system has used up: so many writes within an hour and a day.

use crate::parts::error::EngineError;
use crate::ports::store::{EffectCount, SLOT_MS, Store};
use avowal_core::data::ids::SystemName;
use avowal_core::data::time::Timestamp;
use avowal_core::outgoing::effects::Effect;
use serde::{Deserialize, Serialize};
use std::fmt;

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How much of its write budget a system has used up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Which system.
    pub system: SystemName,
    /// How many writes were sent within the last hour.
    pub within_hour: u64,
    /// How many may be sent within an hour.
    pub per_hour: Option<u64>,
    /// How many writes were sent within the last day.
    pub within_day: u64,
    /// How many may be sent within a day.
    pub per_day: Option<u64>,
    /// When the next write may go out, where that is not now.
    pub next_at: Option<Timestamp>,
}

impl BudgetUse {
    /// How many writes of this system have been sent, against what may be sent in each system.
    pub async fn of(
        store: &dyn Store,
        system: &SystemName,
        per_hour: Option<u64>,
        per_day: Option<u64>,
        now: Timestamp,
    ) -> Result<Self, EngineError> {
        let mut sent = store.counted_effects(system, now.plus_millis(-DAY_MS)).await?;
        sent.retain(|count| count.effect == Effect::Sent);
        let window = |window_ms: i64, most: Option<u64>| Window::of(&sent, window_ms, most, now);
        let (hour, day) = (window(HOUR_MS, per_hour), window(DAY_MS, per_day));
        Ok(Self {
            system: system.clone(),
            within_hour: hour.sent,
            per_hour,
            within_day: day.sent,
            per_day,
            next_at: hour.next_at.max(day.next_at),
        })
    }

    /// By how many writes it is exceeded.
    pub(crate) fn excess(&self) -> u64 {
        let over = |sent: u64, most: Option<u64>| most.map_or(0, |most| sent.saturating_sub(most));
        over(self.within_hour, self.per_hour).max(over(self.within_day, self.per_day))
    }
}

/// What was sent within a time, and when there is room again.
struct Window {
    sent: u64,
    next_at: Option<Timestamp>,
}

impl Window {
    /// Slots count for as long as a part of them lies within the time, so the bound is kept at every moment.
    fn of(counts: &[EffectCount], window_ms: i64, most: Option<u64>, now: Timestamp) -> Self {
        let from = EffectCount::slot_of(now.plus_millis(-window_ms));
        let within = counts.iter().filter(|count| EffectCount::slot_of(count.at) >= from);
        let amounts: Vec<(Timestamp, u64)> =
            within.map(|count| (count.at, u64::try_from(count.count).unwrap_or_default())).collect();
        let sent = amounts.iter().map(|(_, count)| count).sum();
        let mut left: u64 = sent;
        let mut room_at = |most: u64| {
            amounts.iter().find_map(|(begins, count)| {
                left = left.saturating_sub(*count);
                (left < most).then(|| begins.plus_millis(SLOT_MS + window_ms))
            })
        };
        let next_at = most.filter(|most| sent >= *most).map(|most| {
            // Where nothing may be sent at all, no time helps.
            room_at(most).unwrap_or(now.plus_millis(window_ms))
        });
        Self { sent, next_at }
    }
}

/// What is said where the budget is used up.
impl fmt::Display for BudgetUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |sent: u64, most: Option<u64>, time: &str| match most {
            Some(most) => format!("{sent} of {most} writes within {time}"),
            None => format!("{sent} writes within {time}"),
        };
        write!(
            f,
            "{}: {} and {}",
            self.system,
            of(self.within_hour, self.per_hour, "an hour"),
            of(self.within_day, self.per_day, "a day")
        )?;
        match self.next_at {
            Some(at) => write!(f, "; the next may go out at {at}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(minute: i64, count: i64) -> EffectCount {
        EffectCount {
            system: "crm".into(),
            entity: "customer".into(),
            effect: Effect::Sent,
            at: Timestamp::from_millis(minute * SLOT_MS),
            count,
        }
    }

    #[test]
    fn a_window_has_room_again_when_enough_of_it_is_over() {
        let counts = [sent(0, 3), sent(10, 4), sent(50, 2)];
        let at = |minute: i64| Timestamp::from_millis(minute * SLOT_MS);
        let told = |most, minute| {
            let Window { sent, next_at } = Window::of(&counts, HOUR_MS, most, at(minute));
            (sent, next_at.map(|at| at.millis() / SLOT_MS))
        };
        assert_eq!(told(None, 55), (9, None));
        assert_eq!(told(Some(10), 55), (9, None));
        assert_eq!(told(Some(9), 55), (9, Some(61)), "when the first slot is over");
        assert_eq!(told(Some(6), 55), (9, Some(71)), "the first slot leaves six, which is no room");
        assert_eq!(told(Some(1), 55), (9, Some(111)));
        assert_eq!(told(Some(0), 55), (9, Some(115)), "never, and then it is looked again");
        assert_eq!(told(Some(9), 60), (9, Some(61)), "a slot counts until all of it is an hour old");
        assert_eq!(told(Some(9), 61), (6, None));
    }
}
