//! The crash matrix: one scenario with the real machines of two wallets, a hub and a watchtower, and each of them
//! killed before and after everything that it does.
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

pub mod check;
pub mod damage;
pub mod network;
pub mod page;
pub mod process;
pub mod scenario;
pub mod tower;
pub mod wishes;
pub mod world;

use farthing_sim::{chain, contract, machine, node, reader, rng};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Effect, Plan, World};

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every effect of every participant, in order; of the run without a plan only.
    pub effects: Vec<Effect>,
    /// Whether the planned moment came.
    pub struck: bool,
    /// What the users saw from then on.
    pub seen: BTreeSet<String>,
    pub lost: u128,
    pub broken: Option<String>,
    /// How every payment ended, in the order of the scenario.
    pub outcome: Vec<&'static str>,
}

/// Runs the scenario once. A panic in the machines is a finding like any other.
pub fn run(plan: Option<Plan>) -> Report {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(plan);
        scenario::run(&mut world, &mut |_, _| {});
        report(&mut world)
    }));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_string()));
        Report { struck: true, broken: Some(format!("panic: {}", text.unwrap_or_default())), ..Report::default() }
    })
}

/// The same, with everything that happens printed.
pub fn run_traced(plan: Plan) -> Report {
    let mut world = World::new(Some(plan));
    world.trace = true;
    scenario::run(&mut world, &mut |_, _| {});
    report(&mut world)
}

/// Checks the books at the end of a run.
pub fn report(world: &mut World) -> Report {
    let (lost, outcome) = if world.broken.is_none() { check::check(world) } else { (0, Vec::new()) };
    Report {
        effects: std::mem::take(&mut world.log),
        struck: world.struck,
        seen: std::mem::take(&mut world.seen),
        lost,
        broken: world.broken.take(),
        outcome,
    }
}
