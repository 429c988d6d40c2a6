//! The attacks. Each prepares itself, begins, and goes on until the time is up.

mod backup_put;
mod backup_scan;
mod bad_signatures;
mod collateral_grab;
mod fee_stall;
mod flood_and_loot;
mod gas_drain;
mod http_unread;
mod idle_connections;
mod locks_to_nobody;
mod lookup_flood;
mod malformed;
mod merchant;
mod places;
mod register_flood;
mod restart;
mod slow_bodies;
mod socket_unread;
mod tiny_withdrawals;
mod withdrawal_proposals;

use crate::field::Field;
use crate::proxy::Manner;
use crate::stage::Setting;
use alloy_primitives::keccak256;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// What an attack does; an error says why it could not.
pub type Act = fn(Arc<Field>) -> BoxFuture<'static, Result<(), String>>;

#[derive(Clone, Copy)]
pub struct Attack {
    pub name: &'static str,
    pub act: Act,
}

/// Attacks that are run together, on one stage.
pub struct Run {
    pub name: &'static str,
    pub attacks: Vec<Attack>,
    pub setting: Setting,
}

/// The row that the others are compared with.
pub const QUIET: &str = "quiet";
/// Several at once.
const MIX: &str = "mixed";
/// How many attacks run together in the last row.
const MIXED: usize = 5;

/// Those that leave room for others.
const TOGETHER: [Attack; 16] = [
    Attack { name: "backup-scan", act: |field| Box::pin(backup_scan::run(field)) },
    Attack { name: "socket-answers-unread", act: |field| Box::pin(socket_unread::run(field)) },
    Attack { name: "http-answers-unread", act: |field| Box::pin(http_unread::run(field)) },
    Attack { name: "many-addresses", act: |field| Box::pin(idle_connections::of_many(field)) },
    Attack { name: "tiny-withdrawals", act: |field| Box::pin(tiny_withdrawals::run(field)) },
    Attack { name: "flood-and-loot", act: |field| Box::pin(flood_and_loot::run(field)) },
    Attack { name: "backup-put", act: |field| Box::pin(backup_put::run(field)) },
    Attack { name: "locks-to-nobody", act: |field| Box::pin(locks_to_nobody::run(field)) },
    Attack { name: "withdrawal-proposals", act: |field| Box::pin(withdrawal_proposals::run(field)) },
    Attack { name: "bad-signatures", act: |field| Box::pin(bad_signatures::run(field)) },
    Attack { name: "malformed-frames", act: |field| Box::pin(malformed::run(field)) },
    Attack { name: "slow-bodies", act: |field| Box::pin(slow_bodies::run(field)) },
    Attack { name: "register-flood", act: |field| Box::pin(register_flood::run(field)) },
    Attack { name: "lookup-flood", act: |field| Box::pin(lookup_flood::run(field)) },
    Attack { name: "collateral-grab", act: |field| Box::pin(collateral_grab::run(field)) },
    Attack { name: "merchant", act: |field| Box::pin(merchant::run(field)) },
];

/// Those that need a stage of their own making.
fn apart() -> Vec<Run> {
    let setting = Setting::default();
    let alone = |name, act, setting| Run { name, attacks: vec![Attack { name, act }], setting };
    vec![
        // An RPC that closes connections now and then takes a new file each time.
        alone(
            "idle-connections",
            |field| Box::pin(idle_connections::of_one(field)),
            Setting { rpc: Manner::HangsUp(1_500), ..setting },
        ),
        // A second stands for the minute after which a fee is raised.
        alone("fee-stall", |field| Box::pin(fee_stall::run(field)), Setting { more: "stuck_after = 1", ..setting }),
        alone("gas-drain", |field| Box::pin(gas_drain::run(field)), Setting { hub_milli: 6_000, ..setting }),
        alone("restart", |field| Box::pin(restart::run(field)), Setting { rpc: Manner::Distant(25), ..setting }),
        // A thousand places stand for ten thousand.
        alone(
            "places",
            |field| Box::pin(places::run(field)),
            Setting { more: "limits = { unfunded_channels = 1000 }", ..setting },
        ),
    ]
}

/// All runs, in their order.
pub fn runs(seed: u64) -> Vec<Run> {
    let setting = Setting::default();
    let mut runs = vec![Run { name: QUIET, attacks: Vec::new(), setting }];
    runs.extend(TOGETHER.map(|attack| Run { name: attack.name, attacks: vec![attack], setting }));
    runs.extend(apart());
    let mut mixed = TOGETHER.to_vec();
    mixed.sort_by_key(|attack| keccak256(format!("{seed}/{}", attack.name)));
    mixed.truncate(MIXED);
    runs.push(Run { name: MIX, attacks: mixed, setting });
    runs
}

/// The quiet one, the mixed one, and so many of the others, which the seed chooses.
pub fn sample(seed: u64, count: usize) -> Vec<Run> {
    let mut runs = runs(seed);
    let mut chosen: Vec<&str> = runs.iter().map(|run| run.name).filter(|name| ![QUIET, MIX].contains(name)).collect();
    chosen.sort_by_key(|name| keccak256(format!("{seed}/alone/{name}")));
    chosen.truncate(count);
    runs.retain(|run| [QUIET, MIX].contains(&run.name) || chosen.contains(&run.name));
    runs
}
