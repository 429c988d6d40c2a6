//! The model test of section 9 of `docs/protocol.md`: a randomised adversary against one honest participant,
//! with the real machines, a model of the contract, and the contract itself.
#![allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that stops where it is wrong"
)]

pub mod direct;
#[cfg(feature = "evm")]
pub mod evm;
pub mod finish;
pub mod foe;
pub mod honest;
pub mod moves;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod scheme;
mod streams;
pub mod world;

use contract::Without;
use farthing_sim::{chain, contract, machine, node, reader, rng};
use rng::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Role, World};

/// What came of one schedule.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub role: Option<Role>,
    pub steps: u64,
    pub lost: u128,
    pub broken: Option<String>,
    pub trace: Vec<String>,
    /// What it contained.
    pub counts: std::collections::BTreeMap<&'static str, u64>,
}

/// How to run a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    pub without: Without,
    pub judge: Option<&'a dyn Judge>,
    pub trace: bool,
    /// Stop the adversary after so many steps.
    pub limit: u64,
}

impl Run<'_> {
    pub const fn plain() -> Self {
        Self { without: Without::Nothing, judge: None, trace: false, limit: u64::MAX }
    }
}

/// Has another opinion on what the chain did: the contract's bytecode, where there is one.
pub trait Judge: std::fmt::Debug + Sync {
    /// What it would have done otherwise.
    fn differs(&self, world: &World) -> Result<(), String>;
}

/// Most moves of a schedule.
const LONGEST: u64 = 600;

/// Runs one schedule to its end. A panic in the machines is a finding like any other.
pub fn schedule(seed: u64, run: Run<'_>) -> Report {
    whole(
        seed,
        || {
            let mut world = World::new(seed, run.without, run.trace);
            // Now and then a long one, so that snapshots are written and read back.
            let steps = if world.rng.chance(1) && world.rng.chance(10) { LONGEST } else { world.temper.steps };
            let mut steps = steps.min(run.limit);
            while steps > 0 && world.broken.is_none() {
                world.step();
                steps -= 1;
            }
            world
        },
        run,
    )
}

/// Runs the schedule that bytes decide about: the first eight are the seed of all that is drawn besides, each of the
/// others is a decision or part of one. When they are used up, the end begins.
pub fn play(data: &[u8], run: Run<'_>) -> Report {
    let (seed, decisions) = data.split_at(data.len().min(8));
    let seed = seed.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    whole(
        seed,
        || {
            let mut world = World::with(Rng::with(seed, decisions), Rng::new(!seed), run.without, run.trace);
            let mut steps = LONGEST.min(run.limit);
            while steps > 0 && world.rng.decides() && world.broken.is_none() {
                world.step();
                steps -= 1;
            }
            world
        },
        run,
    )
}

/// A schedule of `moves` and its end.
fn whole(seed: u64, moves: impl FnOnce() -> World, run: Run<'_>) -> Report {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut world = moves();
        let lost = if world.broken.is_none() { world.finish() } else { 0 };
        if let (Some(judge), None) = (run.judge, &world.broken)
            && let Err(why) = judge.differs(&world)
        {
            world.fail(format!("contract and model differ: {why}"));
        }
        Report {
            seed,
            role: Some(world.role),
            steps: world.steps,
            lost,
            broken: world.broken.take(),
            trace: world.trace.take().unwrap_or_default(),
            counts: std::mem::take(&mut world.counts),
        }
    }));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()));
        let broken = Some(format!("panic: {}", text.unwrap_or_default()));
        Report { seed, role: None, steps: 0, lost: 0, broken, trace: Vec::new(), counts: Default::default() }
    })
}

/// The seed of a schedule of a run.
pub fn seed_of(base: u64, index: u64) -> u64 {
    Rng::new(base.wrapping_mul(0x1_0000_0001).wrapping_add(index)).draw()
}

/// Bytes for [`play`], about as many as a schedule of a seed makes decisions.
pub fn bytes_of(base: u64, index: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed_of(base, index));
    let length = rng.between(100, 1_200) as usize;
    std::iter::repeat_with(|| rng.bytes()).flatten().take(length).collect()
}

/// The shortest beginning of a failing schedule that still fails, with its trace.
pub fn shrink(seed: u64, run: Run<'_>) -> Report {
    let full = schedule(seed, run);
    for limit in 0..full.steps.max(1) {
        let report = schedule(seed, Run { limit, ..run });
        if report.broken.is_some() {
            return schedule(seed, Run { limit, trace: true, ..run });
        }
    }
    schedule(seed, Run { trace: true, ..run })
}
