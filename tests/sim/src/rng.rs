//! Seeded randomness: the same seed gives the same schedule on every machine. Decisions can come from bytes instead,
//! so that a fuzzer makes them.

/// SplitMix64, and decisions that were made before.
#[derive(Clone)]
pub struct Rng {
    state: u64,
    decisions: Vec<u8>,
    /// How many of them are used up.
    used: usize,
}

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, &[])
    }

    pub fn with(seed: u64, decisions: &[u8]) -> Self {
        Self { state: seed ^ 0x9e37_79b9_7f4a_7c15, decisions: decisions.to_vec(), used: 0 }
    }

    /// Whether there are decisions left.
    pub fn decides(&self) -> bool {
        self.used < self.decisions.len()
    }

    /// 64 bits, which no decision is spent on.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `limit - 1`; 0 if there is no choice.
    pub fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.decision(limit).unwrap_or_else(|| self.draw()) % limit }
    }

    /// The next one: as few bytes as such a choice needs, so that a changed byte changes one choice.
    fn decision(&mut self, limit: u64) -> Option<u64> {
        let length = if limit <= 1 << 8 { 1 } else { 2 };
        let at = self.used;
        self.used = self.decisions.len().min(at + length);
        let bytes = self.decisions.get(at..at + length)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { Some(&list[self.index(list.len())]) }
    }

    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut point = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if point < *weight {
                return index;
            }
            point -= weight;
        }
        0
    }

    /// Secrets and the like, which no decision is spent on.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_be_bytes());
        }
        bytes
    }
}
