//! The books at the end of a run: money is conserved, everybody has exactly what is theirs, and every payment ended
//! in one way on both sides.

use super::wishes::{Wish, memo, received, sent, wishes};
use super::world::{ALICE, BOB, HUB, NAMES, TOKEN, World};
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::types::{Asset, ETH};
use farthing_protocol::wallet::{Direction, Status};
use std::collections::BTreeMap;

/// What was lost in all, and how every payment ended.
pub fn check(world: &mut World) -> (u128, Vec<&'static str>) {
    world.step = "the books";
    let mut due: BTreeMap<(usize, Asset), i128> = BTreeMap::new();
    let mut outcome = Vec::new();
    for wish in wishes() {
        let how = end_of(world, &wish);
        if how == "completed" {
            *due.entry((wish.from, wish.asset)).or_default() -= wish.amount as i128;
            *due.entry((wish.to, wish.asset)).or_default() += wish.amount as i128;
        }
        outcome.push(how);
    }
    for wallet in [ALICE, BOB] {
        let payments = world.processes[wallet].payments();
        for payment in payments.iter().filter(|payment| payment.direction == Direction::Received) {
            let known = wishes().iter().filter(|wish| wish.to == wallet && memo(wish) == payment.memo).count();
            let times = payments.iter().filter(|other| other.memo == payment.memo && other.to.is_none()).count();
            if known != 1 || times != 1 {
                world.fail(format!("{} has {:?} {times} times", NAMES[wallet], payment.memo));
            }
        }
    }
    for ((id, asset), record) in world.chain.contract.records.clone() {
        if record.status == AssetStatus::Open || record.paid != record.deposited() {
            world.fail(format!("{id}/{asset}: {} of {} went out", record.paid, record.deposited()));
        }
    }
    let mut lost = 0;
    for asset in [ETH, TOKEN] {
        for who in [ALICE, BOB, HUB] {
            let due = due.get(&(who, asset)).copied().unwrap_or(0);
            let has = world.chain.contract.account(world.processes[who].owner, asset);
            if has < due {
                lost += due.abs_diff(has);
            }
            if has != due {
                world.fail(format!("{} has {has} of {asset} and is due {due}", NAMES[who]));
            }
        }
    }
    (lost, outcome)
}

/// How a payment ended: once, and the same for both.
fn end_of(world: &mut World, wish: &Wish) -> &'static str {
    let here = sent(&world.processes[wish.from], wish);
    let there = if wish.to == HUB { None } else { received(&world.processes[wish.to], wish) };
    let there = there.map(|payment| payment.status);
    match here.map(|payment| payment.status) {
        Some(Status::Completed) => {
            if wish.to != HUB && there != Some(Status::Completed) {
                world.fail(format!("payment {} completed, and its payee has {there:?}", wish.number));
            }
            "completed"
        }
        Some(Status::Failed) | None => {
            if there == Some(Status::Completed) {
                world.fail(format!("payment {} failed, and its payee has it", wish.number));
            }
            if here_is_known(world, wish) { "failed" } else { "never made" }
        }
        Some(other) => {
            world.fail(format!("payment {} is {other:?}", wish.number));
            "open"
        }
    }
}

fn here_is_known(world: &World, wish: &Wish) -> bool {
    sent(&world.processes[wish.from], wish).is_some()
}
