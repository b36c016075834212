//! Numbers that look random and are decided by their names: the same seed always gives the same run.

/// Mixes a number (SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number decided by a seed and a name (FNV-1a, then mixed).
pub fn hash(seed: u64, name: &str) -> u64 {
    let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325 ^ mix(seed), fold))
}

/// A generator that is used up step by step: for making a plan, never for deciding a fault.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A number from 0 to `sides - 1`; 0 if there are no sides.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0).checked_rem(sides).unwrap_or(0)
    }

    /// A place in a list of `len` things.
    pub fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(len as u64)).unwrap_or(0)
    }

    /// Whether something of so many per cent happens.
    pub fn chance(&mut self, per_cent: u64) -> bool {
        self.roll(100) < per_cent
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.place(from.len())).cloned()
    }
}
