//! What a hub sends and puts in for others, under attack, and what comes back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::{Address, Bytes};
use farthing_protocol::Code;
use farthing_protocol::amount::Amount;
use farthing_protocol::chain::{ChainCall, Purpose};
use farthing_protocol::channel::CallId;
use farthing_protocol::hub::HubEffect;
use farthing_protocol::message::Message;
use farthing_protocol::types::{ETH, Side};
use farthing_protocol::wallet::{Event, Status};
use support::limited::{code, fund, hub_effects, say, status, world};
use support::{World, domain, key};

#[test]
fn a_repeated_proposal_is_answered_once_each_and_submits_nothing_again() {
    let mut world = World::funded(1);
    let owner = world.clients[0].key.address();
    let deadline = world.now + 3_000;
    let wallet = &mut world.clients[0].wallet;
    let withdrawal = wallet.withdraw(ETH, Amount::new(100), owner, Bytes::new(), deadline, true).unwrap();
    let signature = key(10).sign(domain().digest(&withdrawal.to_abi(world.id(0))));
    let proposal = || Message::WithdrawProposal { withdrawal, signature, owner_signature: Bytes::new(), submit: true };
    let id = world.id(0);
    let mut submitted = 0;
    let ask = |world: &mut World| {
        let before = world.hub_store.clone();
        world.hub.handle(id, proposal(), world.now).unwrap();
        let effects = hub_effects(world);
        let submits = effects.iter().filter(|effect| matches!(effect, HubEffect::Submit { .. })).count();
        let answers = effects.iter().filter(|effect| matches!(effect, HubEffect::Send { .. })).count();
        (submits, answers, before == world.hub_store)
    };
    submitted += ask(&mut world).0;
    for _ in 0..100 {
        assert_eq!(ask(&mut world), (0, 1, true));
    }
    assert_eq!(submitted, 1);
    // It failed: asked for again, once.
    let name = CallId::withdrawal(id, &withdrawal);
    assert_eq!(name.to_string(), format!("{id}/withdraw/{ETH}/0/100/{deadline}"));
    let call = world.hub.channel(&id).unwrap().start_exit();
    world.hub.submit_failed(id, &name, &call);
    assert_eq!((ask(&mut world).0, ask(&mut world).0), (1, 0));
}

#[test]
fn the_owner_s_signature_is_checked_before_anything_is_signed() {
    let mut world = World::funded(1);
    let (id, elsewhere) = (world.id(0), Address::repeat_byte(0xee));
    let mut total = 0;
    let mut ask = |owner_signature: fn(alloy_primitives::B256) -> Bytes, recipient: Address, submit: bool| {
        total += 10;
        let withdrawal = farthing_protocol::message::Withdrawal {
            asset: ETH,
            side: Side::A,
            total: Amount::new(total),
            recipient,
            deadline: world.now + 3_000,
        };
        let digest = domain().digest(&withdrawal.to_abi(id));
        let owner_signature = owner_signature(digest);
        let message =
            Message::WithdrawProposal { withdrawal, signature: key(10).sign(digest), owner_signature, submit };
        match say(&mut world, 0, message).remove(0) {
            Message::Declined { code, .. } => Err(code),
            Message::WithdrawSigned { .. } => Ok(()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(|_| Bytes::new(), elsewhere, true), Err("bad-signature".into()));
    assert_eq!(ask(|_| vec![1; 5_000].into(), elsewhere, false), Err("bad-signature".into()));
    assert_eq!(
        ask(|digest| key(11).sign(digest).as_bytes().to_vec().into(), elsewhere, true),
        Err("limit-exceeded".into())
    );
    assert_eq!(ask(|_| vec![1; 65].into(), elsewhere, true), Err("limit-exceeded".into()));
    assert_eq!(ask(|_| Bytes::new(), domain().contract(), true), Err("invalid-argument".into()));
    assert_eq!(ask(|digest| key(10).sign(digest).as_bytes().to_vec().into(), elsewhere, true), Ok(()));
    assert_eq!(
        ask(|_| vec![1; 65].into(), elsewhere, false),
        Ok(()),
        "a contract may be the owner: its client sends it"
    );
}

#[test]
fn the_hub_sends_what_is_worth_its_gas_and_so_much_a_day() {
    let mut world = world(2, |config| {
        config.assets.get_mut(&ETH).unwrap().min_relayed = Some(Amount::new(50));
        config.relay.cost = Amount::new(1);
        config.relay.channel_day = Amount::new(2);
        config.relay.day = Amount::new(3);
    });
    fund(&mut world, 0, 10_000);
    fund(&mut world, 1, 10_000);
    let ask = |world: &mut World, client: usize, amount: u128| {
        let owner = world.clients[client].key.address();
        let deadline = world.now + 3_000;
        let wallet = &mut world.clients[client].wallet;
        wallet.withdraw(ETH, Amount::new(amount), owner, Bytes::new(), deadline, true).unwrap();
        world.clients[client].events.clear();
        world.settle();
        world.mine();
        world.settle();
        let declined = world.clients[client].events.iter().find_map(|event| match event {
            Event::Declined { code, .. } => Some(code.clone()),
            _ => None,
        });
        match declined {
            None => Ok(()),
            Some(code) => {
                // Whoever was refused sends it itself, on the same terms.
                let pending = world.book(client);
                let withdrawal = pending.withdrawals.last().unwrap().withdrawal;
                world.clients[client].wallet.withdraw_ourselves(&withdrawal).unwrap();
                world.settle();
                world.mine();
                let book = world.book(client);
                assert_eq!(book.withdrawn.a, withdrawal.total);
                Err(code)
            }
        }
    };
    let refused = Err(Code::LimitExceeded.into());
    assert_eq!(ask(&mut world, 0, 49), refused);
    assert_eq!([ask(&mut world, 0, 50), ask(&mut world, 0, 50)], [Ok(()), Ok(())]);
    assert_eq!(ask(&mut world, 0, 50), refused, "twice a day");
    assert_eq!(ask(&mut world, 1, 50), Ok(()));
    assert_eq!(ask(&mut world, 1, 50), refused, "three in all");
    world.pass(43_200);
    assert_eq!(ask(&mut world, 1, 50), Ok(()));
    world.hub.set_solvent(false);
    world.pass(86_400);
    assert_eq!(ask(&mut world, 1, 50), refused, "no gas");
    world.hub.set_solvent(true);
    assert_eq!(ask(&mut world, 1, 50), Ok(()));
}

#[test]
fn without_gas_what_is_there_is_paid_and_nothing_more_is_put_in() {
    let mut world = World::funded(2);
    world.hub.set_solvent(false);
    let id = world.paid(0, 1, 500);
    assert_eq!(status(&world, 0, &id), Status::Completed);
    let id = world.paid(0, 1, 5_000);
    assert_eq!((status(&world, 0, &id), code(&world, 0, &id)), (Status::Failed, Some(Code::HubUnfunded)));
}

#[test]
fn collateral_follows_the_stake_and_what_lies_idle_is_bounded() {
    let mut world = world(4, |config| {
        let policy = config.assets.get_mut(&ETH).unwrap();
        policy.max_idle_collateral = Amount::new(2_500);
    });
    let put = |world: &World, client: usize| {
        world.deposits.get(&(world.id(client), ETH)).map_or(0, |state| state.0.b.units())
    };
    fund(&mut world, 0, 30);
    assert_eq!(put(&world, 0), 0, "not worth its gas");
    world.deposit(0, Side::A, ETH, 370);
    world.settle();
    assert_eq!(put(&world, 0), 400, "as much as the client");
    fund(&mut world, 1, 50_000);
    fund(&mut world, 2, 50_000);
    assert_eq!((put(&world, 1), put(&world, 2)), (1_000, 1_000));
    fund(&mut world, 3, 50_000);
    assert_eq!((put(&world, 3), world.hub.idle_collateral(ETH)), (0, Amount::new(2_400)));
    // A payment puts the money of its channel to use.
    let id = world.paid(1, 2, 900);
    assert_eq!(status(&world, 1, &id), Status::Completed);
    assert_eq!(world.hub.idle_collateral(ETH), Amount::new(1_400));
    let id = world.paid(1, 3, 900);
    world.pass(1);
    world.settle();
    assert_eq!(status(&world, 1, &id), Status::Completed);
}

#[test]
fn max_collateral_bounds_what_lies_there_now_and_not_what_was_paid_in_a_life() {
    let mut world = world(2, |config| {
        let policy = config.assets.get_mut(&ETH).unwrap();
        policy.collateral = Amount::new(1_000);
        policy.max_collateral = Amount::new(2_000);
    });
    fund(&mut world, 0, 100_000);
    fund(&mut world, 1, 1_000);
    let owner = world.clients[1].key.address();
    for _ in 0..5 {
        let id = world.paid(0, 1, 1_900);
        world.pass(1);
        world.settle();
        assert_eq!(status(&world, 0, &id), Status::Completed);
        // The merchant takes all of it.
        let all = world.clients[1].wallet.balance(ETH).available;
        let deadline = world.now + 3_000;
        world.clients[1].wallet.withdraw(ETH, all, owner, Bytes::new(), deadline, true).unwrap();
        world.settle();
        world.mine();
        world.settle();
    }
    let id = world.paid(0, 1, 2_001);
    assert_eq!(code(&world, 0, &id), Some(Code::NoCapacity));
}

#[test]
fn idle_collateral_comes_back_with_the_client_s_signature() {
    let mut world = world(3, |config| {
        let policy = config.assets.get_mut(&ETH).unwrap();
        policy.idle_after = 1_000;
        policy.min_reclaim = Amount::new(100);
    });
    for client in 0..3 {
        fund(&mut world, client, 50_000);
    }
    let id = world.paid(0, 1, 20_000);
    world.pass(1);
    world.settle();
    assert_eq!(status(&world, 0, &id), Status::Completed);
    let taken = |world: &World, client: usize| world.deposits.get(&(world.id(client), ETH)).unwrap().1.b.units();
    world.pass(500);
    world.settle();
    assert_eq!(taken(&world, 0), 0);
    // Client 2 is away when it is asked, and is asked when it is back. It has collateral for its stake, no more.
    world.disconnect(0);
    for _ in 0..4 {
        world.pass(600);
        world.settle();
    }
    assert_eq!((taken(&world, 0), taken(&world, 2)), (0, 0));
    world.connect(0);
    world.settle();
    world.pass(11);
    world.settle();
    // What client 0 paid is the hub's, and more than the collateral for its stake.
    assert_eq!(taken(&world, 0), 20_000);
    let before = world.available(0);
    // The client is paid out of what is left.
    let id = world.paid(1, 0, 900);
    assert_eq!((status(&world, 1, &id), world.available(0)), (Status::Completed, before + 900));
    assert_eq!(taken(&world, 2), 0);
}

#[test]
fn a_client_signs_away_nothing_of_its_own() {
    let mut world = World::funded(2);
    let id = world.paid(0, 1, 900);
    assert_eq!(status(&world, 0, &id), Status::Completed);
    let ask = |world: &mut World, total: u128, submit: bool| {
        let withdrawal = farthing_protocol::message::Withdrawal {
            asset: ETH,
            side: Side::B,
            total: Amount::new(total),
            recipient: world.hub_config.owner,
            deadline: world.now + 3_000,
        };
        let digest = domain().digest(&withdrawal.to_abi(world.id(1)));
        let signature = key(200).sign(digest);
        let message = Message::WithdrawProposal { withdrawal, signature, owner_signature: Bytes::new(), submit };
        world.clients[1].wallet.handle(message, world.now).unwrap();
        let book = world.book(1);
        book.withdrawals.iter().any(|signed| signed.withdrawal == withdrawal && signed.signatures.a.is_some())
    };
    assert!(!ask(&mut world, 101, false), "it owes 900 of 1,000");
    assert!(!ask(&mut world, 100, true), "the gas is the hub's affair");
    assert!(ask(&mut world, 100, false));
}

#[test]
fn a_client_that_is_away_for_very_long_is_left_if_that_is_worth_it() {
    let mut world = world(3, |config| {
        let policy = config.assets.get_mut(&ETH).unwrap();
        policy.idle_after = 1_000;
        policy.min_reclaim = Amount::new(100);
        policy.exit_after = 100_000;
        policy.min_exit = Amount::new(5_000);
    });
    for client in 0..3 {
        fund(&mut world, client, 50_000);
    }
    world.paid(0, 2, 6_000);
    world.pass(1);
    world.settle();
    world.paid(1, 2, 3_000);
    world.pass(1);
    world.settle();
    world.pass(86_400);
    world.disconnect(0);
    world.disconnect(1);
    hub_effects(&mut world);
    let mut left = Vec::new();
    for _ in 0..300 {
        world.now += 400;
        world.mine();
        world.hub.tick(world.now);
        for effect in hub_effects(&mut world) {
            if let HubEffect::Submit { channel, call: ChainCall::StartExit { .. }, purpose, .. } = effect {
                assert!(matches!(purpose, Purpose::Collect { .. }));
                left.push((channel, world.now));
            }
        }
        if world.now > 1_000_000 + 86_400 + 90_000 && world.now < 1_000_000 + 86_400 + 95_000 {
            // The time of the absence outlives the process.
            world.restart_hub();
        }
    }
    assert_eq!(left.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [world.id(0)], "{left:?}");
    assert!(left[0].1 >= 1_000_000 + 86_400 + 100_000);
}
