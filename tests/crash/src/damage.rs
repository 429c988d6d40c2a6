//! Stores that come back wrong: a flipped bit in a record, and a store of an earlier moment.

use super::process::{Backup, Process};
use super::scenario::{STEPS, run, run_step};
use super::world::{ALICE, BOB, HUB, NAMES, World};
use farthing_protocol::channel::Channel;
use farthing_protocol::error::Code;
use farthing_protocol::types::{Asset, ChannelId};
use farthing_protocol::wallet::{PayRequest, Payee, Wallet};
use farthing_protocol::{Amount, ETH};
use std::collections::{BTreeMap, BTreeSet};

/// Places of a record at which a bit is flipped, at most.
const PLACES: usize = 96;

/// What came of flipped bits, by participant and what was reported.
#[derive(Default)]
pub struct Flips {
    pub records: BTreeMap<usize, u64>,
    pub noticed: BTreeMap<(usize, &'static str), u64>,
    /// Those that nobody noticed.
    pub silent: Vec<String>,
}

/// One bit of every record that was ever stored is flipped, at many places, each time in a store that is otherwise
/// whole.
pub fn flips() -> Flips {
    let mut flips = Flips::default();
    let mut known = BTreeSet::new();
    let mut world = World::new(None);
    run(&mut world, &mut |world, _| {
        for who in [ALICE, BOB, HUB] {
            let process = &world.processes[who];
            for (key, value) in &process.store {
                if known.insert((who, key.clone(), value.clone())) {
                    *flips.records.entry(who).or_default() += 1;
                    flip(&mut flips, who, process, key, value, world.chain.now);
                }
            }
        }
    });
    flips.silent.extend(world.broken);
    flips
}

fn flip(flips: &mut Flips, who: usize, process: &Process, key: &str, value: &[u8], now: u64) {
    let step = value.len().div_ceil(PLACES).max(1);
    let mut store = process.store.clone();
    for place in (0..value.len()).step_by(step).chain([value.len() - 1]) {
        let mut damaged = value.to_vec();
        damaged[place] ^= 1 << (place % 8);
        let error = if key.contains("/history/") {
            // Read only when the user asks for it.
            Wallet::decode_history(&damaged).err()
        } else {
            store.insert(key.into(), damaged);
            process.load(&store, now).err()
        };
        match error {
            Some(error) if [Code::StorageCorrupt, Code::StorageVersion].contains(&error.code()) => {
                *flips.noticed.entry((who, error.code().as_str())).or_default() += 1;
            }
            other => {
                let how = other.map_or("nothing".into(), |error| error.to_string());
                flips.silent.push(format!("{}: byte {place} of {key}: {how}", NAMES[who]));
            }
        }
    }
}

/// What came of old stores of one participant.
#[derive(Default)]
pub struct Old {
    pub runs: u64,
    /// Runs in which a lane of its own had gone on since.
    pub behind: u64,
    /// Of those, the ones in which it was told so, and signed nothing there.
    pub noticed: u64,
    /// Runs in which only what it was paid had gone on since.
    pub unpaid: u64,
    /// Of those, the ones in which it was told so.
    pub unpaid_noticed: u64,
    pub wrong: Vec<String>,
}

impl Old {
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.behind += other.behind;
        self.noticed += other.noticed;
        self.unpaid += other.unpaid;
        self.unpaid_noticed += other.unpaid_noticed;
        self.wrong.extend(other.wrong);
        self.wrong.sort();
    }
}

/// Steps after which stores are kept and put back.
pub const MOMENTS: usize = 14;

/// Puts the store of the moment after step `from` back at the moment after step `to`, and later the right one.
pub fn put_back(who: usize, from: usize, to: usize, old: &mut Old) {
    let mut world = World::new(None);
    let mut kept: Option<Backup> = None;
    for index in 0..=to {
        run_step(&mut world, index);
        if index == from {
            kept = Some(world.processes[who].backup());
        }
    }
    let right = world.processes[who].backup();
    let Some(kept) = kept.filter(|kept| kept.store != right.store && world.processes[who].running) else { return };
    let before = lanes(&world.processes[who]);
    let updates = world.updates.clone();
    world.processes[who].put_back(&kept);
    world.kill(who, false);
    let after = lanes(&world.processes[who]);
    if before == after {
        // Nothing was signed in between: this store is as good as the other.
        return;
    }
    old.runs += 1;
    // The process alone is wrong; the others try to go on.
    for wallet in [ALICE, BOB] {
        world.links[wallet].wanted |= wallet == who;
    }
    for _ in 0..4 {
        world.revive();
        world.settle();
        attempt(&mut world, who);
        world.settle();
        world.block(12);
        world.settle();
    }
    let mut behind = false;
    let mut unpaid = false;
    let (mut noticed, mut unpaid_noticed) = (true, true);
    for (name, (out, inc)) in &before {
        let (old_out, old_inc) = after.get(name).copied().unwrap_or_default();
        let (id, asset) = *name;
        let link_up = who == HUB || world.links[who].up;
        if !link_up || (who == HUB && !is_linked(&world, id)) {
            continue;
        }
        let told = channel(&world.processes[who], id).is_some_and(|channel| channel.state().outdated);
        if old_out < *out {
            behind = true;
            noticed &= told;
            let lane = (who, id, asset);
            if updates.get(&lane) != world.updates.get(&lane) {
                old.wrong.push(format!("{} {from}->{to}: signed in a lane that it had forgotten", NAMES[who]));
            }
        } else if old_inc < *inc {
            unpaid = true;
            unpaid_noticed &= told;
        }
    }
    old.behind += u64::from(behind);
    old.noticed += u64::from(behind && noticed);
    old.unpaid += u64::from(unpaid);
    old.unpaid_noticed += u64::from(unpaid && unpaid_noticed);
    if !noticed || !unpaid_noticed {
        old.wrong.push(format!("{} {from}->{to}: an old store is not noticed ({behind} {unpaid})", NAMES[who]));
    }
    old.wrong.extend(world.broken.take().map(|why| format!("{} {from}->{to}: {why}", NAMES[who])));
    // The right store is found after all, and the scenario goes on to its end.
    world.processes[who].put_back(&right);
    world.kill(who, false);
    for index in to + 1..STEPS.len() {
        run_step(&mut world, index);
    }
    let report = super::report(&mut world);
    old.wrong.extend(report.broken.map(|why| format!("{} {from}->{to}, later: {why}", NAMES[who])));
}

/// The highest nonce signed and the newest accepted, by channel and asset.
fn lanes(process: &Process) -> BTreeMap<(ChannelId, Asset), (u64, u64)> {
    let books = process.channels().into_iter().flat_map(|channel| {
        let books = channel.state().assets.iter();
        books.map(|(asset, book)| ((channel.id(), *asset), (book.out.highest, book.inc.accepted_nonce())))
    });
    books.collect()
}

fn channel(process: &Process, id: ChannelId) -> Option<&Channel> {
    process.channels().into_iter().find(|channel| channel.id() == id)
}

fn is_linked(world: &World, id: ChannelId) -> bool {
    [ALICE, BOB].into_iter().any(|wallet| world.id(wallet) == id && world.links[wallet].up)
}

/// A user who tries to pay with the old store.
fn attempt(world: &mut World, who: usize) {
    if who == HUB || world.processes[who].failed {
        return;
    }
    let now = world.now();
    let mut id = [9; 16];
    id[..8].copy_from_slice(&now.to_be_bytes());
    let request = PayRequest {
        asset: ETH,
        amount: Amount::new(1),
        memo: "with an old store".into(),
        to: Payee::Hub,
        expiry: now + 5_000,
        id,
        entropy: [9; 32],
    };
    match world.processes[who].wallet_mut().pay(request, now) {
        Ok(_) => {
            world.seen.insert("paid".into());
        }
        Err(error) => {
            world.seen.insert(error.code().as_str().into());
        }
    }
}
