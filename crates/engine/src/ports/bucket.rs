//! Buckets and shares: a stable division of records, copies, keys and deliveries, by which a store shards and
//! workers divide their work.

use avowal_core::data::ids::{EntityName, RecordId, SystemName};
use avowal_core::record::CopyKey;
use serde::Serialize;

/// One of 256 parts into which everything that has a key falls. Stored in tables, so the function never changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket(u8);

impl Bucket {
    /// How many of them there are.
    pub const COUNT: usize = 256;

    /// The bucket of a record, with its events, intents and reviews.
    pub fn of_record(id: &RecordId) -> Self {
        Self::of(&[id.as_str()])
    }

    /// The bucket of a copy, with its link and its signals.
    pub fn of_copy(copy: &CopyKey) -> Self {
        Self::of(&[copy.system.as_str(), copy.entity.as_str(), copy.remote_id.as_str()])
    }

    /// The bucket of a key by which records are matched.
    pub fn of_match_key(entity: &EntityName, key: &str) -> Self {
        Self::of(&[entity.as_str(), key])
    }

    /// The bucket of a delivery.
    pub fn of_delivery(system: &SystemName, key: &str) -> Self {
        Self::of(&[system.as_str(), key])
    }

    /// FNV-1a over the parts, each followed by a zero byte, folded to one byte.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in parts {
            for byte in part.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        // The high bits of FNV mix well, the low ones less so.
        let folded = (hash >> 32) ^ hash;
        Self(((folded >> 16) ^ folded).to_le_bytes()[0] ^ (folded >> 8).to_le_bytes()[0])
    }

    /// Its number, from 0 to 255.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The share of the work that it belongs to.
    pub fn share(self) -> Share {
        Share(self.0 / (Self::COUNT / Share::COUNT) as u8)
    }
}

/// One of 64 parts of the work for one system: what a worker takes for itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Share(u8);

impl Share {
    /// How many of them there are.
    pub const COUNT: usize = 64;

    /// The share of this number, modulo their count.
    pub fn new(number: u8) -> Self {
        Self(number % Self::COUNT as u8)
    }

    /// Its number, 0 to 63.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// A set of shares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Shares(u64);

impl Shares {
    /// All shares.
    pub const ALL: Self = Self(u64::MAX);
    /// No shares.
    pub const NONE: Self = Self(0);

    /// Adds a share.
    pub fn insert(&mut self, share: Share) {
        self.0 |= 1 << share.0;
    }

    /// Whether the set contains the share.
    pub fn contains(self, share: Share) -> bool {
        self.0 & (1 << share.0) != 0
    }

    /// Whether a bucket's share is among them.
    pub fn covers(self, bucket: Bucket) -> bool {
        self.contains(bucket.share())
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The shares, in order.
    pub fn iter(self) -> impl Iterator<Item = Share> {
        (0..Share::COUNT as u8).map(Share).filter(move |share| self.contains(*share))
    }
}

impl FromIterator<Share> for Shares {
    fn from_iter<I: IntoIterator<Item = Share>>(shares: I) -> Self {
        let mut all = Self::NONE;
        shares.into_iter().for_each(|share| all.insert(share));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_never_changes() {
        let of = |id: &str| Bucket::of_record(&RecordId::from(id)).number();
        assert_eq!([of("01"), of("02"), of("01hq3z"), of("")], PINNED);
    }

    const PINNED: [u8; 4] = [192, 100, 39, 251];

    #[test]
    fn buckets_are_filled_evenly() {
        let mut counts = [0_u32; Bucket::COUNT];
        for n in 0..25_600 {
            counts[usize::from(Bucket::of(&[&format!("01hq3zk{n:08}")]).number())] += 1;
        }
        assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
    }

    #[test]
    fn shares_are_a_set() {
        let shares: Shares = [Share::new(3), Share::new(63), Share::new(64)].into_iter().collect();
        assert_eq!(shares.iter().map(Share::number).collect::<Vec<_>>(), [0, 3, 63]);
        assert_eq!(Shares::ALL.iter().count(), Share::COUNT);
        assert!(!shares.contains(Share::new(4)) && Shares::NONE.is_empty());
    }
}
