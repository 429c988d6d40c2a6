//! The stages of an exit, as they are told.

/// Where an exit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExitStage {
    /// Nobody leaves.
    #[default]
    None,
    /// We asked for it, and the chain does not show it yet.
    Starting,
    /// Proofs are taken.
    Challenge {
        /// Up to and including this time, Unix seconds.
        ends_at: u64,
    },
    /// The challenge period is over; assets are divided.
    Settling,
    /// Assets are divided; some locks still hold money of ours.
    Claiming {
        /// How many.
        locks: u32,
        /// When the last of them expires, Unix seconds.
        until: u64,
    },
    /// Nothing of ours is left in the contract.
    Done,
}
