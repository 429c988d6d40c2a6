//! Streams: placed, taken, shown, redeemed, ended.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use alloy_primitives::{B256, Bytes};
use farthing_protocol::condition::chain_evidence;
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{Event, Status, StreamRequest, Wallet, Words, chain_word};
use farthing_protocol::{Amount, Code};
use support::streaming::{
    PRICE, UNITS, WEEK, asleep, evidence, give_up, money, part, placed, reveal, stream, taken, wake, world,
};
use support::{Store, World, entries};

#[test]
fn units_are_paid_as_their_words_are_shown_and_the_rest_comes_back() {
    for words in [Words::Chain, Words::Vouchers] {
        let (mut world, id) = placed(words);
        assert!(part(world.payment(0, &id)).accepted, "the payer knows that the payee has it");
        let there = taken(&world);
        assert_eq!(there.stream_key(), world.payment(0, &id).stream_key(), "one name on both sides");
        assert_eq!((there.memo.as_str(), there.amount), ("an article", Amount::new(700)));
        for units in [1, 4, 30] {
            let proof = evidence(&world, &id, units);
            assert_eq!(reveal(&mut world, &proof), Ok(units));
            world.settle();
            assert_eq!(part(world.payment(0, &id)).paid, units);
            assert_eq!(part(&taken(&world)).paid, units);
            assert_eq!(money(&world).1, 10_000 + u128::from(units) * PRICE);
        }
        give_up(&mut world);
        world.settle();
        world.pass(60);
        world.settle();
        let (ours, theirs) = (world.payment(0, &id).clone(), taken(&world));
        for payment in [&ours, &theirs] {
            assert_eq!((payment.status, payment.amount), (Status::Completed, Amount::new(210)));
            assert!(payment.is_final() && payment.code.is_none());
        }
        assert_eq!(money(&world), (9_790, 10_210, 0));
    }
}

#[test]
fn a_stream_that_is_used_up_is_completed_and_one_that_is_not_used_failed() {
    let (mut world, id) = placed(Words::Chain);
    let all = evidence(&world, &id, UNITS);
    reveal(&mut world, &all).unwrap();
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Completed);
    assert_eq!(taken(&world).status, Status::Completed);
    assert_eq!(money(&world), (9_300, 10_700, 0));

    let (mut world, id) = placed(Words::Chain);
    give_up(&mut world);
    world.settle();
    world.pass(60);
    world.settle();
    assert_eq!((world.payment(0, &id).status, taken(&world).status), (Status::Failed, Status::Failed));
    assert_eq!(money(&world), (10_000, 10_000, 0));
}

#[test]
fn a_word_that_proves_nothing_changes_nothing() {
    let (mut world, id) = placed(Words::Chain);
    let before = (taken(&world), money(&world));
    for bad in
        [Bytes::new(), vec![1; 36].into(), chain_evidence(2, B256::repeat_byte(3)), chain_evidence(0, B256::ZERO)]
    {
        assert_eq!(reveal(&mut world, &bad).unwrap_err().code(), Code::BadEvidence);
    }
    // A payee's stream is none of the payer's, and the other way round.
    let (now, proof) = (world.now, evidence(&world, &id, 3));
    assert_eq!(world.clients[0].wallet.reveal(&id, &proof, now).unwrap_err().code(), Code::UnknownPayment);
    let there = taken(&world).id;
    assert_eq!(world.clients[1].wallet.note_shown(&there, 3, now).unwrap_err().code(), Code::UnknownPayment);
    assert_eq!(world.clients[0].wallet.note_shown(&id, UNITS + 1, now).unwrap_err().code(), Code::InvalidArgument);
    world.settle();
    assert_eq!((taken(&world), money(&world)), before);
}

#[test]
fn nobody_takes_a_stream_where_nobody_shows_its_words() {
    let mut world = World::funded(2);
    let id = stream(&mut world, Words::Chain).unwrap();
    world.settle();
    assert!(world.clients[1].wallet.has_undecided_streams());
    assert!(world.clients[1].wallet.payments().is_empty());
    // Still so after a restart, and then somebody comes.
    world.restart_client(1);
    world.connect(1);
    world.settle();
    assert!(world.clients[1].wallet.has_undecided_streams());
    let now = world.now;
    world.clients[1].wallet.take_streams(now);
    world.settle();
    assert_eq!(taken(&world).status, Status::Pending);

    let other = stream(&mut world, Words::Chain).unwrap();
    world.settle();
    assert_eq!(world.clients[1].wallet.payments().len(), 2, "it goes on taking them");
    assert_ne!(id, other);

    let mut world = World::funded(2);
    let id = stream(&mut world, Words::Chain).unwrap();
    world.settle();
    world.clients[1].wallet.decline_streams();
    world.settle();
    world.pass(60);
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Failed);
    assert_eq!(money(&world), (10_000, 10_000, 0));
}

#[test]
fn everybody_may_restart_in_the_middle() {
    for words in [Words::Chain, Words::Vouchers] {
        let (mut world, id) = placed(words);
        let now = world.now;
        world.clients[0].wallet.note_shown(&id, 9, now).unwrap();
        let proof = evidence(&world, &id, 5);
        reveal(&mut world, &proof).unwrap();
        world.settle();
        world.restart_hub();
        for client in [0, 1] {
            world.restart_client(client);
            world.connect(client);
        }
        world.settle();
        assert_eq!(part(world.payment(0, &id)).shown, 9);
        assert!(!world.clients[1].wallet.has_undecided_streams(), "it was taken before");
        let proof = evidence(&world, &id, 9);
        assert_eq!(reveal(&mut world, &proof), Ok(9));
        world.settle();
        assert_eq!(money(&world), (9_300, 10_063, 637));
    }
}

#[test]
fn the_rest_comes_back_though_the_hub_restarted_since_it_was_placed() {
    let (mut world, id) = placed(Words::Chain);
    for units in [1, 12, 30] {
        let proof = evidence(&world, &id, units);
        reveal(&mut world, &proof).unwrap();
        world.settle();
    }
    world.restart_hub();
    world.connect(0);
    world.connect(1);
    world.settle();
    give_up(&mut world);
    world.settle();
    assert_eq!((world.payment(0, &id).status, taken(&world).status), (Status::Completed, Status::Completed));
    assert_eq!(money(&world), (9_790, 10_210, 0));
}

#[test]
fn a_payer_that_comes_back_is_told_again_that_its_payee_has_it() {
    let mut world = world();
    let id = stream(&mut world, Words::Chain).unwrap();
    world.until_locked_in(1, false);
    let store = asleep(&mut world);
    world.settle();
    assert!(!part(world.payment(0, &id)).accepted);
    world.restart_hub();
    world.connect(1);
    wake(&mut world, store);
    assert!(part(world.payment(0, &id)).accepted);
}

/// Rule 18: an acknowledgement that comes while the chain has not been seen ends nothing, and nobody says it again on
/// the same connection. When the chain is seen it counts, or the rest would be locked until the stream expires.
#[test]
fn what_is_acknowledged_to_a_hub_that_has_not_seen_the_chain_yet_counts_when_it_has() {
    let (mut world, id) = placed(Words::Chain);
    let proof = evidence(&world, &id, 4);
    reveal(&mut world, &proof).unwrap();
    world.settle();
    give_up(&mut world);
    // The payee has accepted the release; the hub goes down before it hears that.
    while !taken(&world).is_final() {
        world.clients[1].to_hub.clear();
        assert!(world.step(), "the payee's side ends");
    }
    for seen in [false, true] {
        world.restart_hub_blind();
        world.connect(0);
        world.connect(1);
        world.settle();
        assert!(!world.payment(0, &id).is_final(), "too late, for all that the hub knows");
        if seen {
            world.pass(1);
            world.settle();
            // The payer's own proof is replaced when its hub has said so.
            assert_eq!(world.payment(0, &id).status, Status::Completed);
            assert_eq!(money(&world), (9_972, 10_028, 0));
        }
    }
}

#[test]
fn the_rest_is_given_up_when_what_is_proved_is_paid_also_after_a_restart() {
    let (mut world, id) = placed(Words::Chain);
    let proof = evidence(&world, &id, 5);
    // Nothing reaches the hub.
    world.hub.disconnected(world.id(1));
    world.clients[1].online = false;
    reveal(&mut world, &proof).unwrap();
    give_up(&mut world);
    world.settle();
    assert!(!taken(&world).is_final());
    world.restart_client(1);
    world.connect(1);
    world.settle();
    world.pass(60);
    world.settle();
    assert_eq!((taken(&world).status, taken(&world).amount), (Status::Completed, Amount::new(35)));
    assert_eq!(world.payment(0, &id).amount, Amount::new(35));
    assert_eq!(money(&world), (9_965, 10_035, 0));
}

#[test]
fn a_payer_may_ask_for_the_rest_and_the_payee_decides() {
    let (mut world, id) = placed(Words::Chain);
    world.clients[0].wallet.cancel(&id).unwrap();
    world.settle();
    let asked = Event::EndAsked { id: taken(&world).id };
    assert!(world.clients[1].events.contains(&asked));
    assert_eq!(world.payment(0, &id).status, Status::Pending, "nothing is given up by itself");
    let proof = evidence(&world, &id, 2);
    assert_eq!(reveal(&mut world, &proof), Ok(2));
    give_up(&mut world);
    world.settle();
    world.pass(60);
    world.settle();
    assert_eq!(money(&world), (9_986, 10_014, 0));
}

/// The newest proof that a payee holds has no acknowledgement of its own when it followed its base: the one before it had,
/// and that was lost with the connection.
#[test]
fn an_acknowledgement_that_was_lost_is_asked_for_again() {
    // What the payee has stored and says gets lost.
    let unheard = |world: &mut World| {
        let (now, client) = (world.now, &mut world.clients[1]);
        while let Some(commit) = client.wallet.poll_commit(now).unwrap() {
            support::write(&mut client.store, &commit.writes);
            client.wallet.committed(commit.durable()).unwrap();
        }
    };
    let (mut world, id) = placed(Words::Chain);
    give_up(&mut world);
    while !taken(&world).is_final() {
        assert!(world.step(), "the payee's side ends");
    }
    unheard(&mut world);
    world.pay(0, 1, 50).unwrap();
    world.until_locked_in(1, false);
    unheard(&mut world);
    world.disconnect(1);
    world.settle();
    assert!(!world.payment(0, &id).is_final());
    world.connect(1);
    world.settle();
    assert_eq!(world.payment(0, &id).status, Status::Failed);
    assert_eq!(world.available(0), 9_950);
}

/// Who waits for what it asked for must not wait for ever because one message was lost.
#[test]
fn what_was_asked_back_is_asked_again_until_the_payee_hears() {
    let cut = |world: &mut World| {
        world.disconnect(0);
        world.connect(0);
    };
    let restart = |world: &mut World| {
        world.restart_hub();
        world.connect(0);
        world.connect(1);
    };
    for hub_hears in [false, true] {
        let (mut world, id) = placed(Words::Chain);
        world.disconnect(1);
        if !hub_hears {
            world.disconnect(0);
        }
        world.clients[0].wallet.cancel(&id).unwrap();
        world.settle();
        match hub_hears {
            true => restart(&mut world),
            false => cut(&mut world),
        }
        world.settle();
        world.connect(1);
        world.settle();
        let asked = Event::EndAsked { id: taken(&world).id };
        assert!(world.clients[1].events.contains(&asked), "the hub heard it first: {hub_hears}");
        give_up(&mut world);
        world.settle();
        assert_eq!(world.payment(0, &id).status, Status::Failed);
        // Nothing is asked of what has ended.
        world.clients[1].events.clear();
        cut(&mut world);
        world.settle();
        assert!(!world.clients[1].events.contains(&asked));
    }
}

#[test]
fn a_tip_is_granted_once_for_ever() {
    let tip = chain_word(&[9; 32], UNITS, 0);
    let (mut world, id) = placed(Words::Granted(tip));
    assert!(world.clients[0].wallet.words_secret(&id).is_none(), "the words are somebody else's");
    let again = |world: &mut World| stream(world, Words::Granted(tip)).unwrap_err().code();
    assert_eq!(again(&mut world), Code::DuplicateSecret);
    reveal(&mut world, &chain_evidence(3, chain_word(&[9; 32], UNITS, 3))).unwrap();
    give_up(&mut world);
    world.settle();
    world.pass(60);
    world.settle();
    assert!(world.payment(0, &id).is_final());
    assert_eq!(again(&mut world), Code::DuplicateSecret);
    // Until it is in the history, and nothing else remembers it.
    for _ in 0..600 {
        world.deposit(0, Side::A, ETH, 1);
        world.settle();
    }
    assert!(world.clients[0].wallet.payment(&id).is_none());
    world.restart_client(0);
    world.connect(0);
    world.settle();
    assert_eq!(again(&mut world), Code::DuplicateSecret, "rule 11");
    assert!(stream(&mut world, Words::Granted(chain_word(&[8; 32], UNITS, 0))).is_ok());
}

#[test]
fn what_can_never_be_paid_is_refused_and_nothing_is_signed() {
    let mut world = world();
    let to = world.clients[1].key.address();
    let info = world.hub.lookup(to).unwrap();
    let good = StreamRequest {
        asset: ETH,
        unit_price: Amount::new(1),
        units: 10,
        words: Words::Chain,
        memo: String::new(),
        to,
        info,
        expiry: world.now + WEEK,
        id: [1; 16],
        entropy: [2; 32],
    };
    let before = world.clients[0].store.clone();
    let now = world.now;
    let mut refused = |edit: &dyn Fn(&mut StreamRequest)| {
        let mut request = good.clone();
        edit(&mut request);
        let code = world.clients[0].wallet.stream(request, now).unwrap_err().code();
        world.settle();
        code
    };
    assert_eq!(refused(&|request| request.units = 0), Code::InvalidAmount);
    assert_eq!(refused(&|request| request.unit_price = Amount::ZERO), Code::InvalidAmount);
    assert_eq!(refused(&|request| request.units = 16_385), Code::InvalidArgument);
    assert_eq!(refused(&|request| request.unit_price = Amount::MAX), Code::AmountOverflow);
    assert_eq!(refused(&|request| request.unit_price = Amount::new(1_001)), Code::InsufficientFunds);
    assert_eq!(refused(&|request| request.memo = "x".repeat(257)), Code::InvalidArgument);
    assert_eq!(refused(&|request| request.to = request.info.channel.b.owner), Code::HubFault);
    assert_eq!(world.clients[0].store, before);
    assert!(world.clients[0].wallet.stream(good.clone(), now).is_ok());
    assert_eq!(world.clients[0].wallet.stream(good, now).unwrap_err().code(), Code::DuplicateSecret);
}

#[test]
fn on_an_empty_device_streams_are_listed_and_go_on() {
    let (mut world, id) = placed(Words::Chain);
    let proof = evidence(&world, &id, 8);
    reveal(&mut world, &proof).unwrap();
    world.settle();
    let shown = [world.shown(0), world.shown(1)];
    for (client, shown) in (0..).zip(shown) {
        let store = Store::new();
        world.disconnect(client);
        world.take_over(client, store, shown);
        let now = world.now;
        if client == 1 {
            world.clients[1].wallet.take_streams(now);
        }
        world.connect(client);
        world.settle();
    }
    let ours = world.clients[0].wallet.payments().remove(0);
    assert_eq!((part(&ours).paid, part(&ours).units, part(&ours).granted), (8, UNITS, true));
    assert_eq!(part(&taken(&world)).paid, 8);
    let root = world.clients[0].key.secret("Farthing stream root", &id.0);
    assert_eq!(reveal(&mut world, &chain_evidence(10, chain_word(&root, UNITS, 10))), Ok(10));
    world.settle();
    assert_eq!(money(&world).1, 10_070);
}

#[test]
fn a_backup_has_the_streams_that_are_open() {
    let (mut world, id) = placed(Words::Chain);
    let now = world.now;
    world.clients[0].wallet.note_shown(&id, 12, now).unwrap();
    world.settle();
    let (snapshot, _) = world.clients[0].wallet.backup();
    let mut store = Store::new();
    support::write(&mut store, &[Wallet::from_backup(&world.clients[0].config, snapshot)]);
    let key = world.clients[0].key.clone();
    let restored = Wallet::restore(world.clients[0].config.clone(), Some(key), &entries(&store)).unwrap();
    assert_eq!(part(restored.payment(&id).unwrap()).shown, 12);
    assert_eq!(restored.words_secret(&id), world.clients[0].wallet.words_secret(&id));
}
