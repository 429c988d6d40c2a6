//! The scenario: everything that a channel can live through, once. A user who finds after a restart that something
//! was never recorded asks for it again.

use super::wishes::{SMALL, WISHES, Wish, id, memo, of_step, received, sent, wishes};
use super::world::{ALICE, BOB, HUB, TOKEN, World};
use alloy_primitives::{Bytes, keccak256};
use farthing_protocol::Amount;
use farthing_protocol::chain::{AssetStatus, ChainCall};
use farthing_protocol::channel::ExitStage;
use farthing_protocol::condition::chain_evidence;
use farthing_protocol::error::Code;
use farthing_protocol::proof::LaneId;
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::wallet::{PayRequest, Payee, Status, StreamRequest, Words, chain_word};
use farthing_protocol::watch::{WatchOrder, WatchedLane};

/// Asks for a payment that the wallet does not know.
fn pay(world: &mut World, wish: &Wish, time: u64) {
    let now = world.now();
    if world.processes[wish.from].failed || sent(&world.processes[wish.from], wish).is_some() {
        return;
    }
    let to = match wish.to {
        HUB => Payee::Hub,
        to => {
            let address = world.processes[to].key.address();
            match world.processes[HUB].hub().lookup(address) {
                Ok(info) => Payee::Channel { to: address, info },
                Err(error) => return world.see(error.code().as_str()),
            }
        }
    };
    let request = PayRequest {
        asset: wish.asset,
        amount: Amount::new(wish.amount),
        memo: memo(wish),
        to,
        expiry: now + time,
        id: id(wish).0,
        entropy: keccak256(wish.number.to_be_bytes()).0,
    };
    match world.processes[wish.from].wallet_mut().pay(request, now) {
        Ok(_) => world.took(wish.number),
        // The last wish comes when its channel is being left, to be refused.
        Err(error) if error.code() == Code::ChannelExiting && wish.number == 1_600 => {}
        Err(error) => world.see(error.code().as_str()),
    }
}

/// Units of the stream, their price, and after which units words are shown to its payee.
const UNITS: u32 = 50;
const PRICE: u128 = 2;
const SHOWN: [u32; 3] = [1, 12, 30];

/// Places the stream where it is not known, shows the next words, and gives the rest up when all are paid.
fn stream(world: &mut World) {
    let wish = of_step(4).next().unwrap();
    let now = world.now();
    if world.processes.iter().any(|process| process.failed) {
        return;
    }
    world.processes[BOB].wallet_mut().take_streams(now);
    let Some(placed) = sent(&world.processes[ALICE], &wish) else {
        let to = world.processes[BOB].key.address();
        let Ok(info) = world.processes[HUB].hub().lookup(to) else { return };
        let entropy = keccak256(wish.number.to_be_bytes()).0;
        let (asset, unit_price, units, words) = (wish.asset, Amount::new(PRICE), UNITS, Words::Chain);
        let (memo, expiry, id) = (memo(&wish), now + 4_000, id(&wish).0);
        let request = StreamRequest { asset, unit_price, units, words, memo, to, info, expiry, id, entropy };
        match world.processes[ALICE].wallet_mut().stream(request, now) {
            Ok(_) => world.took(wish.number),
            Err(error) => world.see(error.code().as_str()),
        }
        return;
    };
    let (Some(root), Some(taken)) =
        (world.processes[ALICE].wallet().words_secret(&placed.id), received(&world.processes[BOB], &wish))
    else {
        return;
    };
    let (Some(there), false) = (&taken.stream, taken.is_final()) else { return };
    let wallet = world.processes[BOB].wallet_mut();
    let outcome = match SHOWN.into_iter().find(|units| *units > there.shown) {
        Some(units) => {
            let word = chain_word(&root, UNITS, units);
            wallet.reveal(&taken.id, &chain_evidence(units, word), now).map(drop)
        }
        None => wallet.end_stream(&taken.id, now),
    };
    if let Err(error) = outcome {
        world.see(error.code().as_str());
    }
}

fn pay_all(world: &mut World, step: u16, time: u64) {
    for wish in of_step(step) {
        pay(world, &wish, time);
    }
}

fn is_over(world: &World, wish: &Wish) -> bool {
    let sent = sent(&world.processes[wish.from], wish);
    let here = sent.as_ref().is_some_and(|payment| payment.is_final() && payment.settled);
    let completed = sent.is_some_and(|payment| payment.status == Status::Completed);
    let there = wish.to == HUB
        || !completed
        || received(&world.processes[wish.to], wish).is_some_and(|payment| payment.settled && payment.is_final());
    here && there
}

fn all_over(world: &World, step: u16) -> bool {
    of_step(step).all(|wish| is_over(world, &wish))
}

/// Whether it waits at the hub, or was refused and is over.
fn is_held(world: &World, number: u16) -> bool {
    let wish = WISHES.into_iter().find(|wish| wish.number == number).unwrap();
    let status = sent(&world.processes[wish.from], &wish).map(|payment| payment.status);
    matches!(status, Some(Status::Held | Status::Failed))
}

/// What a wallet hands to its tower: the newest proofs of both directions that a stranger can show.
pub fn watch_order(world: &World, wallet: usize) -> (WatchOrder, Vec<WatchedLane>) {
    let process = &world.processes[wallet];
    let (channel, key) = (process.wallet().channel(), &process.key);
    let order = WatchOrder::sign(*channel.def(), world.now() + 600, world.tower.key.address(), &world.domain, key);
    let lanes = channel.exit_proofs().into_iter().map(|(lane, signed, acknowledgement)| {
        let ours = lane.payer == Side::A;
        let digest = signed.proof.acknowledgement_digest(&world.domain, channel.id(), lane);
        let acknowledgement = if ours { acknowledgement } else { Some(key.sign(digest)) };
        WatchedLane { asset: lane.asset, payer: lane.payer, signed, acknowledgement, evidence: Vec::new() }
    });
    (order, lanes.collect())
}

fn is_watched(world: &World, wallet: usize) -> bool {
    let held = &world.receipts[wallet];
    watch_order(world, wallet).1.iter().all(|lane| {
        let name = LaneId { asset: lane.asset, payer: lane.payer };
        held.get(&name).is_some_and(|nonce| *nonce >= lane.signed.proof.nonce)
    })
}

fn deposit(world: &mut World, wallet: usize, asset: Asset, amount: u128) {
    let process = &world.processes[wallet];
    let (channel, owner) = (*process.wallet().channel().def(), process.owner);
    world.call(owner, ChainCall::Deposit { channel, side: Side::A, asset, amount: Amount::new(amount) });
}

fn away(world: &mut World, wallet: usize) {
    world.links[wallet].wanted = false;
    world.cut(wallet);
}

fn stage(world: &World, wallet: usize) -> ExitStage {
    world.processes[wallet].wallet().channel().exit_stage()
}

fn has_ended(world: &World, wallet: usize) -> bool {
    let id = world.id(wallet);
    let hub = world.processes[HUB].hub().channel(&id).unwrap();
    stage(world, wallet) == ExitStage::Done && hub.exit_stage() == ExitStage::Done
}

/// One step: what happens first, what somebody wants until it is there, and how it is known to be there.
pub struct Step {
    pub name: &'static str,
    /// Seconds from one block to the next.
    seconds: u64,
    start: fn(&mut World),
    want: fn(&mut World),
    done: fn(&World) -> bool,
}

const fn step(
    name: &'static str,
    seconds: u64,
    start: fn(&mut World),
    want: fn(&mut World),
    done: fn(&World) -> bool,
) -> Step {
    Step { name, seconds, start, want, done }
}

fn nothing(_: &mut World) {}

pub const STEPS: [Step; 19] = [
    step(
        "deposits of both assets",
        12,
        |world| {
            for (wallet, eth, token) in [(ALICE, 10_000, 3_000), (BOB, 4_000, 1_000)] {
                world.links[wallet].wanted = true;
                deposit(world, wallet, ETH, eth);
                deposit(world, wallet, TOKEN, token);
            }
        },
        nothing,
        |world| {
            let funded = |wallet: usize, asset: Asset| {
                let balance = world.processes[wallet].wallet().balance(asset);
                balance.receivable.units() >= 2_000 && !balance.available.is_zero()
            };
            [ALICE, BOB].into_iter().all(|wallet| funded(wallet, ETH) && funded(wallet, TOKEN))
        },
    ),
    step("a payment", 12, nothing, |world| pay_all(world, 1, 5_000), |world| all_over(world, 1)),
    step("payments back", 12, nothing, |world| pay_all(world, 2, 5_000), |world| all_over(world, 2)),
    step(
        "payments both ways, by lock and direct, of both assets",
        12,
        nothing,
        |world| pay_all(world, 3, 5_000),
        |world| all_over(world, 3),
    ),
    step("a stream of which a part is paid", 12, nothing, stream, |world| all_over(world, 4)),
    step(
        "270 small payments",
        12,
        nothing,
        |world| {
            for wish in wishes().iter().filter(|wish| wish.number >= 10_000) {
                // Ninety at a time.
                let before = wish.number.checked_sub(SMALL).filter(|before| *before >= 10_000);
                let due = before.is_none_or(|number| is_over(world, &Wish { number, ..*wish }));
                if due {
                    pay(world, wish, 5_000);
                }
            }
        },
        |world| wishes().iter().filter(|wish| wish.number >= 10_000).all(|wish| is_over(world, wish)),
    ),
    step(
        "a payment to a payee who is away",
        12,
        |world| away(world, BOB),
        |world| pay_all(world, 5, 5_000),
        |world| is_held(world, 500),
    ),
    step(
        "another, cancelled",
        12,
        nothing,
        |world| {
            pay_all(world, 6, 5_000);
            if is_held(world, 600) {
                let wish = of_step(6).next().unwrap();
                if let Err(error) = world.processes[ALICE].wallet_mut().cancel(&id(&wish)) {
                    world.see(error.code().as_str());
                }
            }
        },
        |world| all_over(world, 6),
    ),
    step(
        "the payee comes back, and the hub needs more collateral",
        12,
        |world| world.links[BOB].wanted = true,
        |world| pay_all(world, 7, 5_000),
        |world| all_over(world, 5) && all_over(world, 7),
    ),
    step(
        "a withdrawal",
        12,
        nothing,
        |world| {
            let (now, process) = (world.now(), &mut world.processes[ALICE]);
            let book = process.wallet().channel().state().assets.get(&ETH).unwrap();
            if !book.withdrawals.is_empty() || !book.withdrawn.a.is_zero() || process.failed {
                return;
            }
            let owner = process.owner;
            match process.wallet_mut().withdraw(ETH, Amount::new(1_000), owner, Bytes::new(), now + 1_200, true) {
                Ok(_) => world.took(1),
                Err(error) => world.see(error.code().as_str()),
            }
        },
        |world| world.processes[ALICE].wallet().balance(ETH).withdrawn.units() == 1_000,
    ),
    step("a payment after it", 12, nothing, |world| pay_all(world, 9, 5_000), |world| all_over(world, 9)),
    step(
        "one asset is closed",
        12,
        nothing,
        |world| {
            let (now, process) = (world.now(), &mut world.processes[BOB]);
            let book = process.wallet().channel().state().assets.get(&TOKEN).unwrap();
            if book.closing.is_some() || book.status != AssetStatus::Open || process.failed {
                return;
            }
            match process.wallet_mut().close(&[TOKEN], now + 1_200, true) {
                Ok(_) => world.took(2),
                Err(error) => world.see(error.code().as_str()),
            }
        },
        |world| {
            let status = |who: usize| match who {
                HUB => world.processes[HUB].hub().channel(&world.id(BOB)).unwrap().state().assets.get(&TOKEN),
                who => world.processes[who].wallet().channel().state().assets.get(&TOKEN),
            };
            [BOB, HUB].into_iter().all(|who| status(who).unwrap().status == AssetStatus::Closed)
        },
    ),
    step(
        "the tower takes proofs",
        12,
        nothing,
        |world| {
            if !is_watched(world, ALICE) && world.processes[ALICE].running {
                world.watch(ALICE);
            }
        },
        |world| is_watched(world, ALICE),
    ),
    step(
        "payments whose secret does not come back",
        12,
        |world| world.links[BOB].mute = true,
        |world| pay_all(world, 12, 8_000),
        |world| {
            let failed = |wish: &Wish| is_over(world, wish);
            of_step(12).all(|wish| received(&world.processes[BOB], &wish).is_some() || failed(&wish))
        },
    ),
    step(
        "a payment that stays held",
        12,
        |world| {
            // Alice's process ends for a long time.
            away(world, ALICE);
            world.processes[ALICE].running = false;
        },
        |world| pay_all(world, 13, 8_000),
        |world| is_held(world, 1_300),
    ),
    step(
        "an exit with pending locks, and an old state shown against one who is away",
        120,
        |world| {
            // Somebody with the hub's account starts an exit that names no proofs at all.
            let (owner, channel) = (world.processes[HUB].owner, *world.processes[ALICE].wallet().channel().def());
            world.call(owner, ChainCall::StartExit { channel, proofs: Vec::new() });
        },
        |world| {
            let (now, process) = (world.now(), &mut world.processes[BOB]);
            let state = process.wallet().channel().state();
            if state.leaving || state.exit.is_some() || process.failed {
                return;
            }
            match process.wallet_mut().exit(now) {
                Ok(()) => world.took(3),
                Err(error) => world.see(error.code().as_str()),
            }
        },
        |world| {
            let final_now = world.chain.head().final_timestamp;
            let exits = &world.chain.contract.exits;
            [ALICE, BOB].into_iter().all(|wallet| exits.get(&world.id(wallet)).is_some_and(|ends| *ends < final_now))
        },
    ),
    step(
        "settlement",
        60,
        |world| {
            world.processes[ALICE].running = true;
            world.links[ALICE].wanted = true;
        },
        nothing,
        |world| {
            let settled = |wallet: usize, asset: Asset| {
                world.chain.contract.record(world.id(wallet), asset).status == AssetStatus::Settled
            };
            settled(ALICE, ETH) && settled(ALICE, TOKEN) && settled(BOB, ETH)
        },
    ),
    step(
        "claims",
        240,
        nothing,
        // Of a channel that is left nothing can be paid.
        |world| pay_all(world, 16, 5_000),
        |world| has_ended(world, ALICE) && has_ended(world, BOB),
    ),
    step("the end", 240, nothing, nothing, |world| [12, 13].into_iter().all(|step| all_over(world, step))),
];

/// Blocks after which a step that does not end is a failure.
const PATIENCE: u32 = 420;

/// Runs all steps; `look` sees the world after each.
pub fn run(world: &mut World, look: &mut dyn FnMut(&mut World, usize)) {
    for index in 0..STEPS.len() {
        run_step(world, index);
        if world.broken.is_some() {
            return;
        }
        look(world, index);
    }
}

pub fn run_step(world: &mut World, index: usize) {
    let Step { name, seconds, start, want, done } = &STEPS[index];
    world.step = name;
    start(world);
    for _ in 0..PATIENCE {
        world.revive();
        world.settle();
        want(world);
        world.settle();
        if world.broken.is_some() || (!world.processes.iter().any(|process| process.failed) && done(world)) {
            return;
        }
        world.block(*seconds);
        world.settle();
    }
    world.fail("does not come to an end");
}
