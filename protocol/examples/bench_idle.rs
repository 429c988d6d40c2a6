//! What a block and a second cost the hub's core for channels in which nothing happens: funded by both sides, without a
//! lock, a signature that may still be mined, or an exit.
//!
//! ```sh
//! cargo run --release -p farthing-protocol --example bench_idle
//! ```
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use alloy_primitives::Address;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::Policy;
use farthing_protocol::eip712::Domain;
use farthing_protocol::hub::{AssetPolicy, Hub, HubConfig, Registration};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Amount, ChannelDef, ETH, Participant, Sides};
use std::time::{Duration, Instant};

const NOW: u64 = 1_700_000_000;
const ROUNDS: u64 = 50;

fn main() {
    println!("{:>9} {:>14} {:>14}   medians of {ROUNDS}", "channels", "a block", "a second");
    for count in [10, 1_000, 10_000] {
        let mut hub = hub_with(count);
        let block = median((0..ROUNDS).map(|round| {
            let began = Instant::now();
            hub.head(head(10 + round), NOW);
            assert!(hub.unread_keys().is_empty());
            commit(&mut hub);
            began.elapsed()
        }));
        let second = median((0..ROUNDS).map(|round| {
            let began = Instant::now();
            hub.tick(NOW + round);
            commit(&mut hub);
            began.elapsed()
        }));
        println!("{count:>9} {:>14} {:>14}", format!("{block:?}"), format!("{second:?}"));
    }
}

fn hub_with(count: u64) -> Hub {
    let key = SecretKey::from_bytes(&[7; 32]).unwrap();
    let units = Amount::new(1_000);
    let limits = AssetPolicy {
        channel_capacity: units,
        min_payment: Amount::new(1),
        max_payment: units,
        collateral: units,
        max_collateral: units,
        ..AssetPolicy::default()
    };
    let config = HubConfig {
        domain: Domain::new(31_337, Address::repeat_byte(0xfa)),
        owner: key.address(),
        policy: Policy::default(),
        assets: [(ETH, limits)].into(),
        challenge_period: (1, u32::MAX),
        backlog: Default::default(),
        relay: Default::default(),
        strangers: Default::default(),
    };
    let mut hub = Hub::new(config, key);
    for salt in 0..count {
        let a = Participant { owner: Address::repeat_byte(0xa1), signer: Address::repeat_byte(0xa2) };
        let channel = ChannelDef { a, b: hub.participant(), challenge_period: 86_400, salt };
        let id = hub.register(Registration { channel, public_key: None, binding: None }).unwrap();
        let deposits = Sides { a: units, b: units };
        let fact =
            ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::default() };
        hub.chain(Some(id), &fact, NOW);
    }
    hub.head(head(1), NOW);
    commit(&mut hub);
    hub
}

const fn head(number: u64) -> Head {
    Head { number, timestamp: NOW + number * 12, final_number: number - 1, final_timestamp: NOW + number * 12 - 12 }
}

fn commit(hub: &mut Hub) {
    while let Some(commit) = hub.poll_commit(NOW).unwrap() {
        hub.committed(commit.durable()).unwrap();
    }
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}
