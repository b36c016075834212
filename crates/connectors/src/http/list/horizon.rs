//! What a feed has learned of its service's times: how coarse they are, how far their clock is behind, how late rows
//! appear, and which rows it has shown already.
//!
//! A stamp can be no later than its clock when it is seen, so the distance of the newest stamps from the service's `Date`
//! bounds how far that clock is behind. Until a stamp has shown better, it may be behind by as much as is plausible.

use super::query::short_digest;
use crate::http::answer::stamp::Style;
use avowal_core::data::time::Timestamp;
use avowal_engine::ports::connector::Change;
use serde::{Deserialize, Serialize};

/// How far a clock with a zone may be behind, while nothing has shown better.
const BEHIND_MS_MAX: i64 = 15 * 60_000;
/// The same for stamps without a zone, which may be local times.
const BEHIND_ZONELESS_MS_MAX: i64 = 14 * 3_600_000;
/// The longest overlap that is learned.
const OVERLAP_MS_MAX: i64 = 24 * 3_600_000;
/// The most rows that are remembered as shown. Others are shown again while they are within the overlap.
const RECENT_MAX: usize = 256;
/// A `Date` header has whole seconds.
const DATE_STEP_MS: i64 = 1000;
/// The steps in which stamps are rounded.
const STEPS_MS: [i64; 6] = [86_400_000, 3_600_000, 60_000, 1000, 100, 10];

/// What a feed has learned. It is kept in the feed's cursor.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Learned {
    /// The coarsest rounding that fits all stamps so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    step_ms: Option<i64>,
    /// The least distance of a stamp from the service's `Date` when it was seen; negative if it was earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead_ms: Option<i64>,
    /// How late a row has appeared behind its stamp.
    late_ms: i64,
    /// When the last complete scan began, in the service's clock, unless more rows were shown then than are remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    scanned: Option<Timestamp>,
    /// The newest rows that were shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recent: Vec<Recent>,
}

/// A row that was shown: its id and its contents as digests, and its stamp.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Recent(u64, u64, i64);

impl Learned {
    /// Learns from the stamps of a page that came at `date`.
    pub(super) fn see(&mut self, stamps: &[Option<(Timestamp, Style)>], date: Option<Timestamp>) {
        for (at, style) in stamps.iter().flatten() {
            let shifted = at.millis() + style.shift_ms();
            let rounded = STEPS_MS.into_iter().find(|step| shifted.rem_euclid(*step) == 0).unwrap_or(1);
            let step = rounded.max(style.step_ms());
            self.step_ms = Some(self.step_ms.map_or(step, |known| known.min(step)));
            if let Some(date) = date {
                // A stamp of the future tells nothing: somebody wrote it.
                let ahead = (at.millis() - date.millis()).min(0);
                self.ahead_ms = Some(self.ahead_ms.map_or(ahead, |known| known.max(ahead)));
            }
        }
    }

    /// Takes out of a page what was shown before exactly so, and remembers the rest as shown.
    pub(super) fn only_news(
        &mut self,
        changes: Vec<Change>,
        digests: &[u64],
        stamps: &[Option<(Timestamp, Style)>],
    ) -> Vec<Change> {
        let mut news = Vec::new();
        for ((change, digest), stamp) in changes.into_iter().zip(digests).zip(stamps) {
            let Some((at, _)) = stamp else {
                news.push(change);
                continue;
            };
            let id = short_digest(change.id.as_str().as_bytes());
            let present = Recent(id, *digest, at.millis());
            match self.recent.iter_mut().find(|recent| recent.0 == id) {
                Some(known) if *known == present => {}
                Some(known) => {
                    *known = present;
                    self.note_late(*at);
                    news.push(change);
                }
                None => {
                    self.recent.push(present);
                    self.note_late(*at);
                    news.push(change);
                }
            }
        }
        news
    }

    /// A row appears that the last scan did not show, although its stamp is older than that scan.
    fn note_late(&mut self, at: Timestamp) {
        let (Some(scanned), Some(ahead)) = (self.scanned, self.ahead_ms) else { return };
        let rounding = self.step_ms.unwrap_or(1).max(1) + DATE_STEP_MS;
        let late = scanned.millis() + ahead - at.millis() - rounding;
        self.late_ms = self.late_ms.max(late.min(OVERLAP_MS_MAX));
    }

    /// A scan that began at `began` is complete, and the next one asks from `bound` on.
    pub(super) fn scanned(&mut self, began: Option<Timestamp>, bound: Option<Timestamp>) {
        if let Some(bound) = bound {
            self.recent.retain(|recent| recent.2 >= bound.millis());
        }
        // Rows that are not remembered would seem late when they are shown again.
        let is_all = self.recent.len() <= RECENT_MAX;
        self.recent.sort_by_key(|recent| std::cmp::Reverse(recent.2));
        self.recent.truncate(RECENT_MAX);
        self.scanned = began.filter(|_| is_all);
    }

    /// How much earlier than now a question begins.
    pub(super) fn overlap_ms(&self, declared_ms: i64) -> i64 {
        // Who was late once may be later the next time.
        let learned = if self.late_ms > 0 { self.late_ms.saturating_mul(2) } else { 0 };
        declared_ms.max(learned.min(OVERLAP_MS_MAX))
    }

    /// The time before which no change can appear any more, when the service's clock says `date`.
    pub(super) fn horizon(&self, date: Timestamp, style: Style, declared_ms: i64) -> Timestamp {
        let most = if style.is_zoned() { BEHIND_MS_MAX } else { BEHIND_ZONELESS_MS_MAX };
        let behind = self.ahead_ms.unwrap_or(i64::MIN).max(-most);
        let step = self.step_ms(style);
        // What is rounded up belongs to the step before.
        let rounding = if step > 1000 { step } else { 0 };
        self.floor(date.plus_millis(behind - self.overlap_ms(declared_ms) - rounding), style)
    }

    /// The rounding of the stamps in milliseconds.
    pub(super) fn step_ms(&self, style: Style) -> i64 {
        self.step_ms.unwrap_or(1).max(style.step_ms()).max(1)
    }

    /// Rounded down as the service's stamps are, by its own days.
    fn floor(&self, at: Timestamp, style: Style) -> Timestamp {
        let shifted = at.millis() + style.shift_ms();
        Timestamp::from_millis(at.millis() - shifted.rem_euclid(self.step_ms(style)))
    }
}
