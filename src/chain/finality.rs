//! How many blocks on top of a block make it final, for us. A hub says how many it waits for; below our own floor its
//! word does not count, since a deposit or an exit that a reorganisation takes back is our loss, nor above a ceiling,
//! since then nothing would ever count, an exit neither.

/// Full nodes keep the state of 128 blocks: what lies deeper they can't be asked about. It is also more than the two
/// epochs (64 blocks) after which Ethereum finalises.
const CEILING: u64 = 96;

/// Where nothing is known of a chain: as on Ethereum.
const UNKNOWN: u64 = 12;

/// Chain ids of development nodes.
const LOCAL: [u64; 2] = [31_337, 1_337];

/// By chain id, the fewest.
const FLOORS: &[(&[u64], u64)] = &[
    // Development nodes, which may make a block for a transaction only: what the hub says.
    (&LOCAL, 0),
    // Ethereum: reorganisations were a block or two deep since the merge, and seven before it.
    (&[1], 12),
    // Its test networks, where money is play money.
    (&[11_155_111, 17_000, 560_048], 3),
    // Rollups with one sequencer (OP, Base, Unichain, Ink, Zora, World; Linea; Scroll; zkSync Era; Celo): blocks of one
    // or two seconds, of which those that it has only announced may be replaced when it restarts.
    (&[10, 8_453, 130, 57_073, 7_777_777, 480, 59_144, 534_352, 324, 42_220], 10),
    // Arbitrum One and Nova: the same with blocks of a quarter of a second.
    (&[42_161, 42_170], 40),
    // Polygon PoS, whose reorganisations were deep, and BNB Chain: blocks of one or two seconds.
    (&[137], 64),
    (&[56], 16),
    // Gnosis: Ethereum's consensus, fewer validators.
    (&[100], 16),
    // Avalanche: what is accepted is final.
    (&[43_114], 1),
];

/// Whether a chain is a development node's.
pub(super) const fn is_local(chain_id: u64) -> bool {
    chain_id == LOCAL[0] || chain_id == LOCAL[1]
}

/// The confirmations that a client waits for: as many as the hub, between our floor and the ceiling. An application that
/// knows its chain may give another floor.
pub(super) fn confirmations(chain_id: u64, hub: u64, floor: Option<u64>) -> u64 {
    let known = FLOORS.iter().find(|(chains, _)| chains.contains(&chain_id));
    let floor = floor.unwrap_or_else(|| known.map_or(UNKNOWN, |(_, floor)| *floor));
    hub.min(CEILING).max(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_says_counts_between_a_floor_and_a_ceiling_only() {
        assert_eq!(confirmations(1, 0, None), 12);
        assert_eq!(confirmations(1, 20, None), 20);
        assert_eq!(confirmations(1, 10_000, None), CEILING);
        assert_eq!(confirmations(8_453, 0, None), 10);
        assert_eq!(confirmations(987_654_321, 0, None), UNKNOWN);
        assert_eq!(confirmations(31_337, 0, None), 0);
        assert_eq!(confirmations(1_337, 2, None), 2);
    }

    #[test]
    fn an_application_may_give_another_floor() {
        assert_eq!(confirmations(987_654_321, 0, Some(1)), 1);
        assert_eq!(confirmations(31_337, 1, Some(5)), 5);
        assert_eq!(confirmations(31_337, 9, Some(5)), 9);
        // Its own wish is not cut.
        assert_eq!(confirmations(1, 0, Some(200)), 200);
    }

    #[test]
    fn no_chain_is_listed_twice_and_no_floor_is_above_the_ceiling() {
        let mut chains: Vec<u64> = FLOORS.iter().flat_map(|(chains, _)| chains.iter().copied()).collect();
        let count = chains.len();
        chains.sort_unstable();
        chains.dedup();
        assert_eq!(chains.len(), count);
        assert!(FLOORS.iter().all(|(_, floor)| *floor <= CEILING));
    }
}
