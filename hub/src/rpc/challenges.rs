//! Challenges for callers without a connection. Nothing is remembered of them: each is made of a secret of this process,
//! the channel and the time.

use crate::clock;
use alloy_primitives::{B256, keccak256};
use farthing_protocol::ChannelId;
use zeroize::Zeroizing;

/// Seconds after which there is a new one; the last one is good as well.
const WINDOW: u64 = 120;

/// Makes challenges.
pub(super) struct Challenges(Zeroizing<[u8; 32]>);

impl Challenges {
    /// With a fresh secret.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self(secret))
    }

    /// The channel's challenge now.
    pub(super) fn now(&self, channel: ChannelId) -> B256 {
        self.of(channel, clock::now().div_euclid(WINDOW))
    }

    /// Those that are good now.
    pub(super) fn recent(&self, channel: ChannelId) -> [B256; 2] {
        let window = clock::now().div_euclid(WINDOW);
        [self.of(channel, window), self.of(channel, window.saturating_sub(1))]
    }

    fn of(&self, channel: ChannelId, window: u64) -> B256 {
        // Keccak takes no harm from what follows the secret, which needs no HMAC.
        let mut text = Zeroizing::new([0; 72]);
        let parts = self.0.iter().chain(channel.0.as_slice()).copied().chain(window.to_be_bytes());
        text.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        keccak256(text.as_slice())
    }
}

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenges")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_of_its_channel_its_time_and_this_process() {
        let (here, there) = (Challenges::new().unwrap(), Challenges::new().unwrap());
        let [one, two] = [1, 2].map(|number| ChannelId(B256::repeat_byte(number)));
        assert_eq!(here.of(one, 7), here.of(one, 7));
        let others = [here.of(two, 7), here.of(one, 8), there.of(one, 7)];
        assert!(!others.contains(&here.of(one, 7)));
        let recent = here.recent(one);
        assert_ne!(recent[0], recent[1]);
    }
}
