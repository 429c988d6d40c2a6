//! What a hub lets into flight and stores, under attack.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::Address;
use farthing_protocol::Code;
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::Head;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::hub::{BacklogLimits, HubEffect};
use farthing_protocol::lane::Op;
use farthing_protocol::types::ETH;
use farthing_protocol::wallet::{Event, Status};
use support::limited::{Foe, code, fund, given_back_with, hub_effects, refused_with, status, world};
use support::{World, key};

fn few(gas: u64) -> BacklogLimits {
    BacklogLimits { gas, block_gas: 60_000, block_time: 12, held: 1_000, patience: 60 }
}

#[test]
fn payers_who_sit_on_many_locks_leave_room_for_others_and_the_sum_is_bounded() {
    const GAS: u64 = 200 * 30_000;
    let mut world = world(9, |config| config.backlog = few(GAS));
    for client in 0..9 {
        fund(&mut world, client, 10_000);
    }
    // The payee is connected and says nothing.
    let silent = 7;
    let payee = world.clients[silent].key.address();
    let mut forwarded = Vec::new();
    for client in 0..6 {
        let mut foe = Foe::new(client);
        let (mut taken, mut refused) = (0, 0);
        for slot in 0..60 {
            let mut op = Foe::lock(slot, 10, Some(payee), world.now + 86_400, 100);
            if let Op::Lock { condition, .. } = &mut op {
                *condition = Condition::hash_lock(sha256(&[client as u8, slot as u8]));
            }
            match given_back_with(&foe.update(&mut world, vec![op])) {
                Some(code) => {
                    assert_eq!(code, "too-many-locks");
                    refused += 1;
                }
                None => taken += 1,
            }
        }
        forwarded.push((taken, refused));
        assert!(world.hub.pending_gas() <= GAS);
    }
    assert_eq!(forwarded[0], (16, 44), "a twelfth of two hundred");
    assert!(forwarded.iter().all(|(taken, _)| *taken >= 8), "{forwarded:?}");
    // An honest payer gets through meanwhile, and what it has redeemed counts no more.
    let before = world.hub.pending_gas();
    for _ in 0..30 {
        let id = world.paid(6, 8, 5);
        assert_eq!(status(&world, 6, &id), Status::Completed);
    }
    assert_eq!(world.hub.pending_gas(), before);
    // After a restart it is the same: what was signed is in flight, and what was not waits again.
    world.restart_hub();
    assert_eq!(world.hub.pending_gas(), 8 * 30_000);
    assert_eq!(world.hub.pending_gas() + world.hub.held_count() as u64 * 30_000, before);
}

#[test]
fn what_is_in_flight_ends_with_its_lock() {
    let mut world = world(2, |config| config.backlog = few(30_000 * 9));
    fund(&mut world, 0, 10_000);
    fund(&mut world, 1, 10_000);
    let payee = world.clients[1].key.address();
    let mut foe = Foe::new(0);
    let ops = (0..8).map(|slot| Foe::lock(slot, 10, Some(payee), world.now + 86_400, 100)).collect();
    assert_eq!(given_back_with(&foe.update(&mut world, ops)), None);
    let op = Foe::lock(8, 10, Some(payee), world.now + 86_400, 100);
    assert_eq!(given_back_with(&foe.update(&mut world, vec![op])), Some("too-many-locks"));
    assert_eq!(world.hub.pending_gas(), 8 * 30_000);
    // Nobody's envelopes open: the payee gives all of it back.
    world.disconnect(1);
    world.connect(1);
    world.settle();
    world.pass(1);
    world.settle();
    assert_eq!(world.hub.pending_gas(), 0);
}

#[test]
fn held_payments_are_bounded_too_and_those_in_line_go_on_waiting() {
    let mut world = world(3, |config| config.backlog = BacklogLimits { held: 18, ..few(30_000 * 9) });
    for client in 0..3 {
        fund(&mut world, client, 10_000);
    }
    world.disconnect(1);
    let ids: Vec<_> = (0..20).map(|_| world.pay(0, 1, 10).unwrap()).collect();
    world.settle();
    let held = ids.iter().filter(|id| status(&world, 0, id) == Status::Held).count();
    assert_eq!((held, world.hub.held_count()), (8, 8));
    assert_eq!(code(&world, 0, ids.last().unwrap()), Some(Code::TooManyLocks));
    let other = world.paid(2, 1, 10);
    assert_eq!(status(&world, 2, &other), Status::Held);
    world.connect(1);
    world.settle();
    for _ in 0..3 {
        world.pass(1);
        world.settle();
    }
    assert_eq!((world.available(1), world.hub.held_count()), (10_090, 0));
}

#[test]
fn a_payer_who_does_not_redeem_is_forwarded_nothing_more() {
    let mut world = world(2, |config| config.backlog = BacklogLimits { gas: u64::MAX, ..few(0) });
    fund(&mut world, 0, 100_000);
    fund(&mut world, 1, 10_000);
    for _ in 0..12 {
        world.pay(0, 1, 10).unwrap();
    }
    world.step();
    // The payer's side is silent from here on; the payee takes all of it.
    let payer = world.id(0);
    world.clients[0].online = false;
    world.settle();
    assert_eq!(world.available(1), 10_120);
    let late = |world: &mut World| {
        let payee = world.clients[1].key.address();
        let mut foe = Foe::new(0);
        let book = world.hub.channel(&payer).unwrap().state().assets.get(&ETH).unwrap().clone();
        foe.lane = book.inc.lane.clone();
        foe.nonce = book.inc.seen;
        let slot = 1_000 + foe.nonce as u16;
        let op = Foe::lock(slot, 10, Some(payee), world.now + 86_400, 100);
        given_back_with(&foe.update(world, vec![op])).map(String::from)
    };
    assert_eq!(late(&mut world), None, "it has a minute");
    world.pass(61);
    assert_eq!(late(&mut world).as_deref(), Some("too-many-locks"));
}

#[test]
fn evidence_goes_on_chain_earlier_when_there_is_much_of_it() {
    let mut world = world(2, |config| config.backlog = BacklogLimits { gas: u64::MAX, ..few(0) });
    fund(&mut world, 0, 100_000);
    fund(&mut world, 1, 10_000);
    let margin = world.hub_config.policy.safety_margin;
    assert_eq!(world.hub.record_lead(), margin);
    let ids: Vec<_> = (0..20).map(|_| world.pay(0, 1, 10).unwrap()).collect();
    world.step();
    world.clients[0].online = false;
    world.settle();
    assert_eq!(world.available(1), 10_200);
    assert_ne!(status(&world, 0, &ids[0]), Status::Failed);
    // Twenty pieces of evidence, two in a block.
    assert_eq!(world.hub.record_lead(), margin + 10 * 12);
    let recorded = |world: &mut World| {
        let calls = hub_effects(world);
        let label = |effect: &HubEffect| matches!(effect, HubEffect::Submit { call, .. } if call.label().starts_with("recordEvidence"));
        calls.iter().filter(|effect| label(effect)).count()
    };
    let expiry = 1_000_000 + 86_400;
    world.now = expiry - margin - 10 * 12 - 2;
    world.mine();
    world.hub.tick(world.now);
    assert_eq!(recorded(&mut world), 0);
    world.now += 3;
    world.mine();
    world.hub.tick(world.now);
    assert!(recorded(&mut world) > 0);
}

#[test]
fn what_no_honest_client_sends_is_refused_before_it_is_stored() {
    let mut world = world(2, |config| {
        config.assets.get_mut(&ETH).unwrap().min_payment = Amount::new(10);
    });
    fund(&mut world, 0, 10_000);
    fund(&mut world, 1, 10_000);
    let (payer, payee) = (world.clients[0].key.address(), world.clients[1].key.address());
    let expiry = world.now + 86_400;
    let stored = |world: &World| {
        let id = world.id(0).to_string();
        world.hub_store.iter().filter(|(name, _)| name.contains(&id)).map(|(_, value)| value.len()).sum::<usize>()
    };
    let before = stored(&world);
    let cases = [
        (Foe::lock(0, 9, Some(payee), expiry, 100), Code::LimitExceeded),
        (Foe::lock(0, 10, None, expiry, 100), Code::UnknownPayee),
        (Foe::lock(0, 10, Some(payer), expiry, 100), Code::InvalidArgument),
        (Foe::lock(0, 10, Some(payee), expiry, 513), Code::LimitExceeded),
    ];
    let mut foe = Foe::new(0);
    for (op, code) in cases {
        let answers = foe.update(&mut world, vec![op; 1]);
        assert_eq!(refused_with(&answers), Some(code.as_str()));
    }
    assert!(stored(&world) < before + 400, "the highest nonces, and nothing else");
    let channel = world.hub.channel(&world.id(0)).unwrap();
    assert!(channel.state().assets.get(&ETH).unwrap().inc.lane.locks.is_empty());
    // The same with what a client may send.
    assert_eq!(refused_with(&foe.update(&mut world, vec![Foe::lock(0, 10, Some(payee), expiry, 512)])), None);
}

#[test]
fn locks_to_nobody_are_given_back_forgotten_and_bounded() {
    let mut world = world(2, |_| {});
    fund(&mut world, 0, 10_000);
    fund(&mut world, 1, 10_000);
    let nobody = Address::repeat_byte(0x77);
    let expiry = world.now + 3_600;
    let mut foe = Foe::new(0);
    for part in 0..8_u16 {
        let ops = (0..32).map(|slot| Foe::lock(part * 32 + slot, 1, Some(nobody), expiry, 100)).collect();
        assert_eq!(given_back_with(&foe.update(&mut world, ops)), Some("unknown-payee"));
    }
    let answers = foe.update(&mut world, vec![Foe::lock(256, 1, Some(nobody), expiry, 100)]);
    assert_eq!(refused_with(&answers), Some("too-many-locks"));
    // It releases none, and the chain is asked for none.
    world.now += 3_700;
    let (number, timestamp) = (world.block + 1, world.now);
    let head = Head { number, timestamp, final_number: number, final_timestamp: timestamp };
    world.hub.head(head, world.now);
    assert_eq!(world.hub.unread_keys().len(), 0);
    world.mine();
    // Whoever releases what it was given back pays on.
    let ops = (0..256).map(|slot| Op::Release { slot }).collect();
    assert_eq!(refused_with(&foe.update(&mut world, ops)), None);
    let (payee, expiry) = (world.clients[1].key.address(), world.now + 3_600);
    let answers = foe.update(&mut world, vec![Foe::lock(0, 1, Some(payee), expiry, 100)]);
    assert_eq!((refused_with(&answers), given_back_with(&answers)), (None, None));
}

#[test]
fn an_honest_payer_of_many_payments_to_somebody_who_vanished_is_not_stuck() {
    let mut world = World::funded(2);
    let info = world.hub.lookup(world.clients[1].key.address()).unwrap();
    let def = farthing_protocol::types::ChannelDef { salt: 77, ..info.channel };
    // A payee whose channel the hub does not know.
    let stranger = key(99);
    let def = farthing_protocol::types::ChannelDef {
        a: farthing_protocol::types::Participant { owner: stranger.address(), signer: stranger.address() },
        ..def
    };
    let info = farthing_protocol::api::PayeeInfo { channel: def, public_key: stranger.public_key(), ..info };
    let ids: Vec<_> = (0..600)
        .map(|_| {
            let to = farthing_protocol::wallet::Payee::Channel { to: stranger.address(), info: info.clone() };
            world.pay_as(0, to, 1).unwrap()
        })
        .collect();
    world.settle();
    world.pass(12);
    world.settle();
    let failed: std::collections::BTreeSet<_> = world.clients[0]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Payment(payment) if payment.status == Status::Failed => Some(payment.id),
            _ => None,
        })
        .collect();
    assert!(ids.iter().all(|id| failed.contains(id)));
    let id = world.paid(0, 1, 1_000);
    assert_eq!(status(&world, 0, &id), Status::Completed);
    assert_eq!(world.available(0), 9_000);
}
