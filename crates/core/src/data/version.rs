//! Dots, version vectors and their comparison: what came after what, without a clock.

use crate::data::ids::SystemName;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// (system, n): the n-th change that we have seen `system` make to one record; n counts from 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who made the change.
    pub system: SystemName,
    /// Its number among that system's changes to this record.
    pub n: u64,
}

impl Dot {
    /// The n-th change of `system`.
    pub fn new(system: impl Into<SystemName>, n: u64) -> Self {
        Self { system: system.into(), n }
    }

    /// Appends it as it is displayed.
    pub(crate) fn append_to(&self, out: &mut String) {
        out.push_str(self.system.as_str());
        out.push(':');
        crate::data::spelled::push_number(self.n, out);
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.system.as_str())?;
        write!(f, ":{}", self.n)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How two version vectors compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Causality {
    /// Both include the same changes.
    Same,
    /// The left one includes the right one and more.
    LeftAfterRight,
    /// The right one includes the left one and more.
    RightAfterLeft,
    /// Each includes a change that the other does not.
    Concurrent,
}

/// Which changes a state includes: for each system, all its changes up to n.
///
/// Its pairs are in order of the systems' names, each name once. There are as many as there are systems: so few that a
/// list is searched, cloned and freed faster than a tree.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct VersionVector(Vec<(SystemName, u64)>);

impl VersionVector {
    /// The vector that includes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest change of `system` that is included; 0 for none.
    pub fn get(&self, system: &SystemName) -> u64 {
        self.0.iter().find(|(name, _)| name == system).map_or(0, |(_, n)| *n)
    }

    /// Sets the newest change of `system`.
    fn set(&mut self, system: &SystemName, n: u64) {
        match self.0.binary_search_by(|(name, _)| name.cmp(system)) {
            Ok(at) => self.0[at].1 = n,
            Err(at) => self.0.insert(at, (system.clone(), n)),
        }
    }

    /// The dot that the next change of `system` will carry.
    pub fn next(&self, system: &SystemName) -> Dot {
        Dot { system: system.clone(), n: self.get(system) + 1 }
    }

    /// Whether the change is included.
    pub fn includes(&self, dot: &Dot) -> bool {
        self.get(&dot.system) >= dot.n
    }

    /// Includes one more change, and with it all earlier ones of its system.
    pub fn add(&mut self, dot: &Dot) {
        if !self.includes(dot) {
            self.set(&dot.system, dot.n);
        }
    }

    /// Includes everything that `other` includes. Vectors only grow.
    pub fn join(&mut self, other: &VersionVector) {
        for (system, n) in &other.0 {
            if self.get(system) < *n {
                self.set(system, *n);
            }
        }
    }

    /// The vector with one more change.
    pub fn with(&self, dot: &Dot) -> Self {
        let mut out = self.clone();
        out.add(dot);
        out
    }

    /// Compares `self` (left) with `other` (right).
    pub fn compare(&self, other: &VersionVector) -> Causality {
        let left_ahead = self.0.iter().any(|(system, n)| *n > other.get(system));
        let right_ahead = other.0.iter().any(|(system, n)| *n > self.get(system));
        match (left_ahead, right_ahead) {
            (false, false) => Causality::Same,
            (true, false) => Causality::LeftAfterRight,
            (false, true) => Causality::RightAfterLeft,
            (true, true) => Causality::Concurrent,
        }
    }

    /// The pairs in order of system name.
    pub fn iter(&self) -> impl Iterator<Item = (&SystemName, u64)> {
        self.0.iter().map(|(system, n)| (system, *n))
    }
}

/// As an object, in order of system name.
impl Serialize for VersionVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for VersionVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = VersionVector;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of system names to numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VersionVector, A::Error> {
                let mut vector = VersionVector::new();
                while let Some((system, n)) = map.next_entry::<SystemName, u64>()? {
                    vector.set(&system, n);
                }
                Ok(vector)
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<T: IntoIterator<Item = Dot>>(dots: T) -> Self {
        let mut out = Self::new();
        dots.into_iter().for_each(|dot| out.add(&dot));
        out
    }
}

impl fmt::Display for VersionVector {
    /// As in `{app: 12, crm: 5}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (system, n)) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{system}: {n}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
