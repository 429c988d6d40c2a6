//! The connection with the peer: how far both sides have told each other what they hold, and what the peer says that it
//! sees of the deposits.

use crate::amount::Amount;
use crate::map::Map;
use crate::types::{Asset, Side, Sides};

/// Assets of which the peer may speak before we have seen them on chain.
const MAX_EARLY_FUNDS: usize = 64;

/// Seconds that a peer has after each connection to show evidence for what has expired meanwhile.
const HEARING: u64 = 30;

/// One connection after the other.
#[derive(Debug)]
pub(crate) struct Link {
    synced: bool,
    /// When the peer last showed what it holds, Unix seconds.
    since: u64,
    /// Connected, and the peer's newest proofs have not come yet: what we signed now could not be built on them.
    connecting: bool,
    /// Confirmed deposits, as the peer sees them.
    told: Map<Asset, Sides<Amount>>,
}

impl Link {
    /// `restored`: our store may be an old one, so nothing is signed before the peer has shown what it holds of ours.
    pub(crate) const fn new(restored: bool) -> Self {
        Self { synced: false, since: 0, connecting: restored, told: Map::new() }
    }

    pub(crate) const fn connect(&mut self) {
        self.synced = false;
        self.connecting = true;
    }

    pub(crate) const fn disconnect(&mut self, restored: bool) {
        self.synced = false;
        self.connecting = restored;
    }

    /// The peer has shown what it holds. `false`: it did so before, and each connection has one answer.
    pub(crate) const fn sync(&mut self, now: u64) -> bool {
        let is_first = !self.synced;
        self.synced = true;
        if is_first {
            self.since = now;
            self.connecting = false;
        }
        is_first
    }

    pub(crate) const fn is_synced(&self) -> bool {
        self.synced
    }

    /// Whether the peer has had the time to show evidence since it came back.
    pub(crate) const fn has_heard(&self, now: u64) -> bool {
        self.synced && now.saturating_sub(self.since) >= HEARING
    }

    /// Whether what we sign now can be built on the peer's newest proofs.
    pub(crate) const fn may_sign(&self) -> bool {
        !self.connecting
    }

    /// The peer tells what it sees. `false`: it speaks of too much that is not `known` to us.
    pub(crate) fn hear_funds(&mut self, asset: Asset, deposits: Sides<Amount>, known: bool) -> bool {
        let room = known || self.told.contains_key(&asset) || self.told.len() < MAX_EARLY_FUNDS;
        if room {
            self.told.insert(asset, deposits);
        }
        room
    }

    /// The deposits that the peer counts, if it says so. Who opened the channel says on every connect what it has seen;
    /// of what it does not name it has seen nothing.
    pub(crate) fn counted(&self, asset: Asset, us: Side) -> Option<Sides<Amount>> {
        let silent = (us == Side::B).then(Sides::default);
        self.told.get(&asset).copied().or(silent)
    }

    /// Whether the peer has said that it counts these deposits.
    pub(crate) fn counts(&self, asset: Asset, deposits: &Sides<Amount>) -> bool {
        self.told.get(&asset) == Some(deposits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_one_answer_and_nothing_is_signed_before_it() {
        let mut link = Link::new(false);
        assert!(link.may_sign() && !link.is_synced(), "what is signed now follows in the next sync");
        link.connect();
        assert!(!link.may_sign());
        assert!(link.sync(0) && link.may_sign() && link.is_synced());
        assert!(!link.sync(0) && link.is_synced());
        link.disconnect(false);
        assert!(link.may_sign() && !link.is_synced());
        link.connect();
        assert!(link.sync(0));
        // The connection before it has not been seen to end.
        link.connect();
        assert!(!link.may_sign() && !link.is_synced());
        assert!(link.sync(0) && link.may_sign());
        // A store that may be old.
        let mut link = Link::new(true);
        assert!(!link.may_sign());
        link.connect();
        link.disconnect(true);
        assert!(!link.may_sign());
        link.connect();
        assert!(link.sync(0) && link.may_sign());
    }

    #[test]
    fn a_peer_speaks_of_so_many_unknown_assets_and_who_is_silent_counts_nothing() {
        let mut link = Link::new(false);
        let asset = |byte: usize| Asset::repeat_byte(u8::try_from(byte).unwrap());
        let deposits = Sides { a: Amount::new(5), b: Amount::ZERO };
        assert!((0..MAX_EARLY_FUNDS).all(|byte| link.hear_funds(asset(byte), deposits, false)));
        assert!(!link.hear_funds(asset(100), deposits, false));
        assert!(link.hear_funds(asset(0), Sides::default(), false), "it is known from before");
        assert!(link.hear_funds(asset(100), deposits, true));
        assert!(link.counts(asset(100), &deposits) && !link.counts(asset(0), &deposits));
        assert_eq!(link.counted(asset(101), Side::A), None);
        assert_eq!(link.counted(asset(101), Side::B), Some(Sides::default()));
        assert_eq!(link.counted(asset(1), Side::B), Some(deposits));
    }
}
