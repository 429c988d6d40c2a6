//! What a hostile hub may try when a wallet takes over what it shows. Each of these worked once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use farthing_protocol::channel::{LanePage, ShownLock};
use farthing_protocol::lane::{Lane, Op, PendingLock, Update};
use farthing_protocol::map::Map;
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{Payee, Shown, Status, Wallet};
use farthing_protocol::{Amount, Code};
use support::{Store, World, entries, key, write};

const OURS: LaneId = LaneId { asset: ETH, payer: Side::A };
const THEIRS: LaneId = LaneId { asset: ETH, payer: Side::B };

/// A page of a lane with any content: `signer` is 200 for the hub, 10 + n for a client.
fn page(
    world: &World,
    client: usize,
    lane: LaneId,
    nonce: u64,
    seen: u64,
    transferred: u128,
    locks: Vec<ShownLock>,
) -> LanePage {
    let mut locked = Amount::ZERO;
    let mut map = Map::new();
    for shown in &locks {
        let lock = farthing_protocol::lane::Lock {
            key: shown.condition.key(shown.expiry),
            n: shown.n,
            unit_price: shown.unit_price,
            redeemed: shown.redeemed,
        };
        locked = locked.plus(lock.value().unwrap()).unwrap();
        let pending = PendingLock {
            lock,
            condition: shown.condition.clone(),
            expiry: shown.expiry,
            to: shown.to,
            envelope: shown.envelope.clone(),
            placed: shown.placed,
        };
        map.insert(shown.slot, pending);
    }
    let mut content = Lane::from_parts(Amount::new(transferred), locked, map);
    let proof = content.statement(nonce, seen);
    let signer = if lane.payer == Side::B { key(200) } else { world.clients[client].key.clone() };
    let id = world.id(client);
    let signed = SignedProof::sign(proof, &support::domain(), id, lane, &signer);
    let acknowledgement =
        (lane.payer == Side::A).then(|| key(200).sign(proof.acknowledgement_digest(&support::domain(), id, lane)));
    LanePage { signed: Some(signed), acknowledgement, locks, next: None }
}

/// The secret of a lock is with the hub; it signs a newer proof of its lane without the lock.
#[test]
fn a_lock_that_we_can_claim_is_not_taken_back_by_a_newer_proof() {
    let mut world = World::funded(3);
    world.pay(1, 0, 4_000).unwrap();
    world.until_locked_in(0, false);
    let commit = world.clients[0].wallet.poll_commit(world.now).unwrap().unwrap();
    write(&mut world.clients[0].store, &commit.writes);
    let revealed = world.clients[0].wallet.committed(commit.durable()).unwrap();
    assert!(format!("{revealed:?}").contains("Reveal"), "the hub has the secret, and takes 4,000 from the payer");
    let book = world.book(0).clone();
    let accepted = book.inc.accepted.unwrap().proof;
    let lie = page(&world, 0, THEIRS, accepted.nonce + 1, 0, accepted.transferred.units(), vec![]);
    // The store is whole, and the newest: 4,000 that could be claimed would be gone.
    assert_eq!(code(&world, &world.clients[0].store, 1, lie), Code::StateOutdated);
}

/// A payment that we had not seen yet, in a lock that can't be claimed: too short, and beyond what the hub has.
#[test]
fn no_secret_is_shown_for_a_lock_that_no_update_could_have_placed() {
    let mut world = World::funded(3);
    world.disconnect(0);
    world.paid(1, 0, 4_000);
    let id = world.id(1);
    let payer = world.hub.show_lane(&id, OURS, 0).unwrap();
    let mut lock = payer.locks[0].clone();
    lock.expiry = world.now + 1;
    lock.unit_price = Amount::new(1_000_000);
    lock.to = None;
    lock.placed = 1;
    let lie = page(&world, 0, THEIRS, 1, 0, 0, vec![lock]);
    for store in [world.clients[0].store.clone(), Store::new()] {
        assert_eq!(code(&world, &store, 1, lie.clone()), Code::InsufficientFunds, "the secret of 4,000 would be shown");
    }
}

/// Two refused proofs; the hub shows the first one as accepted, and may still show the second one.
#[test]
fn what_may_be_shown_can_be_rebuilt_after_adoption() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    world.disconnect(0);
    let signed = |world: &World| {
        let out = &world.book(0).out;
        out.in_flight.back().unwrap().update.clone()
    };
    world.paid(0, 1, 1);
    let first = signed(&world);
    let refused =
        Message::Refused { asset: ETH, nonce: first.proof.nonce, code: "x".into(), message: String::new(), last: None };
    world.clients[0].wallet.handle(refused, world.now).unwrap();
    world.settle();
    world.paid(0, 1, 9_000);
    let second = signed(&world);
    assert!(second.proof.nonce > first.proof.nonce && second.proof.locked == Amount::new(9_000));
    let out = world.book(0).out.clone();
    assert!(out.lane_at(second.proof.nonce).is_some());
    let at = out.lane_at(first.proof.nonce).unwrap();
    let locks = at.locks.iter().map(|(slot, pending)| named(*slot, pending)).collect();
    let lie = page(&world, 0, OURS, first.proof.nonce, first.proof.seen, at.transferred.units(), locks);
    assert_eq!(lie.signed.unwrap().proof, first.proof);
    // Taken over, there would be 9,000 that nobody can ever claim.
    assert_eq!(code(&world, &world.clients[0].store, 0, lie), Code::Unacknowledged);
}

/// `placed` is bound by nothing: the hub gives a pending lock the name of one that was paid.
#[test]
fn what_was_paid_does_not_fail_because_of_another_lock() {
    let mut world = World::funded(3);
    world.disconnect(2);
    let paid = world.paid(0, 2, 300);
    let old = world.clients[0].store.clone();
    let name = world.payment(0, &paid).lock.unwrap();
    world.connect(2);
    world.settle();
    assert_eq!(world.available(2), 10_300);
    world.disconnect(2);
    world.restart_client(0);
    world.connect(0);
    world.paid(0, 2, 200);
    let mut shown = world.shown(0);
    let lock = &mut shown[0].1[0].locks[0];
    assert_eq!(lock.slot, name.slot, "the slot was used again");
    assert_ne!(lock.placed, name.placed);
    lock.placed = name.placed;
    // Taken over, 300 that were paid would fail in the end, and the application would be told to pay again.
    let error = world.adopt(0, &old, shown).expect_err("a lock has the name of another one");
    assert_eq!(error.code(), Code::ProofMismatch);
}

/// A transfer in flight of the old store that no proof holds any more.
#[test]
fn a_transfer_that_no_proof_holds_is_not_completed() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    world.disconnect(0);
    let book = world.book(0).clone();
    let last = world.pay_as(0, Payee::Hub, 5).unwrap();
    world.settle();
    assert_eq!(world.payment(0, &last).status, Status::Pending);
    // Another device with the same key went on from there.
    let base = book.out.accepted.unwrap().proof.nonce;
    let op = Op::Transfer { amount: Amount::new(1), memo: String::new() };
    let mut lane = book.out.lane.clone();
    lane.apply(base + 1, core::slice::from_ref(&op)).unwrap();
    let proof = lane.statement(base + 1, book.inc.accepted_nonce());
    let id = world.id(0);
    let signature = SignedProof::sign(proof, &support::domain(), id, OURS, &world.clients[0].key).signature;
    let update = Update { base, ops: vec![op], proof, signature };
    world.hub.handle(id, Message::Update { asset: ETH, update }, world.now).unwrap();
    world.settle();
    let (store, shown) = (world.clients[0].store.clone(), world.shown(0));
    world.take_over(0, store, shown);
    world.connect(0);
    world.settle();
    let payment = world.payment(0, &last);
    let paid = world.book(0).out.lane.transferred;
    assert_eq!(payment.status, Status::Returning, "in the lane: {paid}");
}

/// An empty store: the hub signs its lane anew, from nothing, after our newest proof.
#[test]
fn the_hub_does_not_sign_away_what_our_own_proofs_say_that_we_had() {
    let mut world = World::funded(3);
    world.paid(1, 0, 9_000);
    world.paid(0, 2, 15_000);
    assert_eq!(world.available(0), 4_000);
    let mut shown = world.shown(0);
    let honest = shown[1].1[0].signed.unwrap().proof;
    shown[1].1 = vec![page(&world, 0, THEIRS, honest.nonce + 1, honest.seen, 0, vec![])];
    let error = world.adopt(0, &Store::new(), shown).expect_err("we could not have paid 15,000 out of 10,000");
    assert_eq!(error.code(), Code::StateOutdated);
}

/// An empty store, and a hub that shows nothing at all.
#[test]
fn an_empty_store_does_not_begin_at_the_first_nonce() {
    let mut world = World::funded(3);
    world.paid(0, 1, 700);
    let nothing: Shown = [OURS, THEIRS].map(|lane| (lane, vec![LanePage::default()])).into();
    let outcome = world.adopt(0, &Store::new(), nothing).unwrap();
    assert!(outcome.is_some(), "it goes on from nothing, at nonce 1, and nobody is told");
}

/// The hub's lane at the last nonce there is: of two backups none would be newer any more.
#[test]
fn a_backup_is_newer_than_the_one_before_after_adoption() {
    let world = World::funded(3);
    let lie = page(&world, 0, THEIRS, 1 << 50, 0, 0, vec![]);
    assert_eq!(code(&world, &world.clients[0].store, 1, lie), Code::BadNonce);
}

/// As `open.rs` does it: the store is adopted before the chain is read. An exit ran to its end while we were away,
/// and a watchtower showed the hub's proof that holds our lock.
#[test]
fn what_was_settled_can_still_be_claimed() {
    use farthing_protocol::chain::{AssetStatus, ChainFact};
    use farthing_protocol::types::Sides;
    let mut world = World::funded(3);
    world.pay(1, 0, 4_000).unwrap();
    world.until_locked_in(0, false);
    let commit = world.clients[0].wallet.poll_commit(world.now).unwrap().unwrap();
    write(&mut world.clients[0].store, &commit.writes);
    let store = world.clients[0].store.clone();
    let inc = world.book(0).inc.clone();
    let accepted = inc.accepted.unwrap().proof;
    let id = world.id(0);
    let locks = world.hub.show_lane(&id, THEIRS, 0).unwrap().locks;
    let locks = if locks.is_empty() {
        inc.lane.locks.iter().map(|(slot, pending)| named(*slot, pending)).collect()
    } else {
        locks
    };
    let mut shown = world.shown(0);
    shown[1].1 = vec![page(&world, 0, THEIRS, accepted.nonce + 1, 0, accepted.transferred.units(), locks)];
    let facts = [
        ChainFact::ExitStarted { ends_at: world.now - 100 },
        ChainFact::Asset {
            asset: ETH,
            deposits: Sides { a: Amount::new(10_000), b: Amount::new(5_000) },
            withdrawn: Sides::default(),
            status: AssetStatus::Settled,
        },
        ChainFact::Shown { asset: ETH, shown: Sides { a: 0, b: accepted.nonce } },
    ];
    let claims = |world: &World, store: &Store| {
        let client = &world.clients[0];
        let mut wallet = Wallet::restore(client.config.clone(), Some(client.key.clone()), &entries(store)).unwrap();
        for fact in &facts {
            wallet.chain(fact, world.now);
        }
        wallet.channel().settled_locks().len()
    };
    assert_eq!(claims(&world, &store), 1);
    let client = &world.clients[0];
    let mut wallet = Wallet::restore(client.config.clone(), Some(client.key.clone()), &entries(&store)).unwrap();
    for fact in &facts {
        wallet.chain(fact, world.now);
    }
    assert_eq!(wallet.adopt(shown, false, 7, world.now).unwrap_err().code(), Code::ChannelExiting);
}

/// What waits for client 0 at the hub, as a lock of the hub's lane that it has not signed.
fn waiting(amount: u128) -> (World, ShownLock) {
    let mut world = World::funded(3);
    world.disconnect(0);
    world.paid(1, 0, amount);
    let mut lock = world.hub.show_lane(&world.id(1), OURS, 0).unwrap().locks[0].clone();
    (lock.to, lock.placed) = (None, 1);
    (world, lock)
}

fn code(world: &World, store: &Store, lane: usize, lie: LanePage) -> Code {
    let mut shown = world.shown(0);
    shown[lane].1 = vec![lie];
    world.adopt(0, store, shown).expect_err("a lie").code()
}

/// Its evidence may be in a block that is not final.
#[test]
fn a_lock_that_expired_a_moment_ago_still_counts() {
    let mut world = World::funded(3);
    world.pay(1, 0, 4_000).unwrap();
    world.until_locked_in(0, false);
    let commit = world.clients[0].wallet.poll_commit(world.now).unwrap().unwrap();
    write(&mut world.clients[0].store, &commit.writes);
    let book = world.book(0).clone();
    let accepted = book.inc.accepted.unwrap().proof;
    let lie = page(&world, 0, THEIRS, accepted.nonce + 1, 0, accepted.transferred.units(), vec![]);
    let expiry = book.inc.lane.locks.values().next().unwrap().expiry;
    let number = world.block + 9;
    let head = |final_timestamp| farthing_protocol::chain::Head {
        number,
        timestamp: expiry + 5,
        final_number: number - 1,
        final_timestamp,
    };
    world.now = expiry + 5;
    world.hub.head(head(expiry - 7), world.now);
    assert_eq!(code(&world, &world.clients[0].store, 1, lie.clone()), Code::StateOutdated);
    // Final, and nobody has recorded anything: then it is gone, as any expired lock.
    world.hub.head(head(expiry + 1), world.now);
    let mut shown = world.shown(0);
    shown[1].1 = vec![lie];
    assert!(world.adopt(0, &world.clients[0].store, shown).unwrap().is_some());
}

#[test]
fn no_nonce_is_taken_after_which_nothing_could_be_newer() {
    let world = World::funded(3);
    let lie = page(&world, 0, THEIRS, 1 << 48, 0, 0, vec![]);
    assert_eq!(code(&world, &world.clients[0].store, 1, lie), Code::BadNonce);
}

#[test]
fn the_hub_can_not_lock_what_it_does_not_have() {
    let (world, mut lock) = waiting(4_000);
    lock.unit_price = Amount::new(1_000_000);
    let lie = page(&world, 0, THEIRS, 1, 0, 0, vec![lock]);
    assert_eq!(code(&world, &Store::new(), 1, lie), Code::InsufficientFunds);
}

#[test]
fn no_secret_is_shown_when_there_is_no_time_to_claim() {
    for (left, taken) in [(1, false), (590, false), (5_000, true)] {
        let (mut world, mut lock) = waiting(400);
        lock.expiry = world.now + left;
        let lie = page(&world, 0, THEIRS, 1, 0, 0, vec![lock]);
        let mut shown = world.shown(0);
        shown[1].1 = vec![lie];
        world.take_over(0, Store::new(), shown);
        assert_eq!(!world.clients[0].wallet.payments().is_empty(), taken, "{left} seconds");
    }
}

#[test]
fn no_more_locks_are_taken_over_than_an_update_could_bring() {
    let (mut world, lock) = waiting(400);
    let mut second = lock.clone();
    (second.slot, second.expiry) = (lock.slot + 1, lock.expiry + 1);
    world.clients[0].config.policy.max_locks = 1;
    let lie = page(&world, 0, THEIRS, 1, 0, 0, vec![lock, second]);
    assert_eq!(code(&world, &Store::new(), 1, lie), Code::TooManyLocks);
}

#[test]
fn what_the_hub_showed_it_had_paid_can_not_fall() {
    let mut world = World::funded(3);
    world.paid(1, 0, 100);
    let old = world.clients[0].store.clone();
    world.paid(1, 0, 60);
    world.start(0, old);
    world.connect(0);
    world.settle();
    let bare = world.book(0).inc.bare.unwrap().proof;
    let lie = page(&world, 0, THEIRS, bare.nonce + 1, bare.seen, 120, vec![]);
    assert_eq!(code(&world, &world.clients[0].store, 1, lie), Code::TransferredFell);
}

#[test]
fn a_proof_that_the_hub_refused_is_not_taken_for_accepted() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    world.disconnect(0);
    world.paid(0, 1, 1);
    let book = world.book(0).clone();
    let first = book.out.in_flight.back().unwrap().update.clone();
    let nonce = first.proof.nonce;
    let refused = Message::Refused { asset: ETH, nonce, code: "x".into(), message: String::new(), last: None };
    world.clients[0].wallet.handle(refused, world.now).unwrap();
    world.settle();
    let at = book.out.lane_at(nonce).unwrap();
    let locks = at.locks.iter().map(|(slot, pending)| named(*slot, pending)).collect();
    let lie = page(&world, 0, OURS, nonce, first.proof.seen, at.transferred.units(), locks);
    assert_eq!(code(&world, &world.clients[0].store, 0, lie), Code::Unacknowledged);
}

#[test]
fn a_store_that_was_old_in_one_lane_leaps_in_both() {
    let mut world = World::funded(3);
    world.paid(0, 1, 10);
    let old = world.clients[0].store.clone();
    world.paid(1, 0, 60);
    world.start(0, old);
    world.connect(0);
    world.settle();
    let ours = |world: &World| world.book(0).out.accepted_nonce();
    let before = ours(&world);
    let (store, shown) = (world.clients[0].store.clone(), world.shown(0));
    world.take_over(0, store, shown);
    world.connect(0);
    world.settle();
    assert!(ours(&world) >= before + 128);
}

#[test]
fn what_was_closed_stays_as_it_is_known() {
    use farthing_protocol::chain::AssetStatus;
    let mut world = World::funded(3);
    let old = world.clients[0].store.clone();
    world.paid(1, 0, 60);
    let id = world.id(0);
    world.deposits.get_mut(&(id, ETH)).unwrap().2 = AssetStatus::Closed;
    assert_eq!(world.adopt(0, &old, world.shown(0)).unwrap(), None);
}

fn named(slot: u16, pending: &PendingLock) -> ShownLock {
    let PendingLock { lock, condition, expiry, to, envelope, placed } = pending.clone();
    let farthing_protocol::lane::Lock { n, unit_price, redeemed, .. } = lock;
    ShownLock { slot, condition, expiry, n, unit_price, redeemed, to, envelope, placed }
}
