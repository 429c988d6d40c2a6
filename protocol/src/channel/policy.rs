//! What a participant accepts. Each side has its own; the hub tells its clients what it accepts.

use crate::amount::Amount;
use crate::map::Map;
use crate::types::Asset;
use alloc::vec::Vec;
use alloy_primitives::Address;

/// What an asset's dust is, and how much of it may be pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dust {
    /// A lock worth less is not worth the gas of recording its evidence.
    pub threshold: Amount,
    /// Most that pending dust locks of a lane may be worth together.
    pub cap: Amount,
}

/// What a participant accepts in a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Seconds before an expiry at which evidence goes on chain; later a hub takes none from downstream.
    pub safety_margin: u64,
    /// Least seconds from now to a lock's expiry; at least twice the safety margin.
    pub min_lock_time: u64,
    /// Most seconds from now to a lock's expiry.
    pub max_lock_time: u64,
    /// Most pending locks in a lane.
    pub max_locks: usize,
    /// Per asset; an asset that is not listed has no dust.
    pub dust: Map<Asset, Dust>,
    /// Seconds after which the newest block seen is too old to accept payments.
    pub max_chain_age: u64,
    /// Largest step from one nonce to the next.
    pub max_nonce_step: u64,
    /// Updates that may be in flight at once.
    pub window: usize,
    /// Bytes of ops in one update.
    pub max_update_bytes: usize,
    /// External condition contracts that are accepted.
    pub external_conditions: Vec<Address>,
    /// Whether we send withdrawals and closings that the peer asks us to send, at our gas.
    pub relay: bool,
    /// Least that a withdrawal has to be for that, by asset; an asset that is not listed has no least amount.
    pub relay_least: Map<Asset, Amount>,
    /// Withdrawals of one asset that may be signed and not mined.
    pub max_withdrawals: usize,
    /// Whether we leave a channel whose peer does not redeem what the chain shows to be proven; else the owner is told.
    pub leave_overdue: bool,
    /// Longest time for which a withdrawal or closing may be held back, in seconds.
    pub max_deadline: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            safety_margin: 600,
            min_lock_time: 1_800,
            max_lock_time: 7 * 86_400,
            max_locks: 4_096,
            dust: Map::new(),
            max_chain_age: 3_600,
            max_nonce_step: 1 << 20,
            window: 8,
            max_update_bytes: 48 * 1024,
            external_conditions: Vec::new(),
            relay: true,
            relay_least: Map::new(),
            max_withdrawals: 4,
            leave_overdue: false,
            max_deadline: 3_600,
        }
    }
}
