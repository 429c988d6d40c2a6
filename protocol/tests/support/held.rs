//! What a machine lets out stands on facts, and these are in its store by then: whoever starts from the store alone, as
//! after a crash between the commit and its effects, knows all that the machine knew when it spoke.

use super::{Client, World, entries, key};
use farthing_protocol::channel::Channel;
use farthing_protocol::hub::{Hub, HubEffect};
use farthing_protocol::journal::{decode, encode};
use farthing_protocol::lane::LockRef;
use farthing_protocol::types::ChannelId;
use farthing_protocol::wallet::{Event, Wallet, WalletEffect};
use std::collections::BTreeSet;

type Lock = (ChannelId, LockRef);

fn check_channel(stored: &Channel, live: &Channel, who: &str, effects: &dyn std::fmt::Debug) {
    let same = encode(stored.state()) == encode(live.state());
    assert!(same, "{who} speaks before its facts are stored: {effects:?}\n{:?}\n{:?}", stored.state(), live.state());
}

pub fn check_wallet(client: &Client, effects: &[WalletEffect]) {
    let Client { wallet, config, store, .. } = client;
    let stored = Wallet::restore(config.clone(), Some(client.key.clone()), &entries(store)).unwrap();
    check_channel(stored.channel(), wallet.channel(), "a wallet", &effects);
    let payments = Wallet::stored_payments(&Wallet::prefix(config), &entries(store)).unwrap();
    for effect in effects {
        if let WalletEffect::Event(Event::Payment(told)) = effect {
            assert!(payments.contains(told), "a payment is told before it is stored: {told:?}\n{payments:?}");
        }
    }
}

pub fn check_hub(world: &World, effects: &[HubEffect]) {
    let store = entries(&world.hub_store);
    let stored = Hub::restore(world.hub_config.clone(), key(200), &store, world.now).unwrap();
    assert_eq!(stored.channels().count(), world.hub.channels().count(), "{effects:?}");
    for live in world.hub.channels() {
        check_channel(stored.channel(&live.id()).unwrap(), live, "the hub", &effects);
    }
    // Which payment each lock that it placed passes on: without that its evidence is worth nothing to it.
    let pairs = store.iter().filter(|(key, _)| key.starts_with("pair/"));
    let passed: BTreeSet<Lock> = pairs.map(|(_, value)| decode::<(Lock, Lock)>(value).unwrap().1).collect();
    for live in world.hub.channels() {
        for (asset, book) in &live.state().assets {
            for (slot, pending) in &book.out.lane.locks {
                let lock = LockRef { lane: live.our_lane(*asset), placed: pending.placed, slot: *slot };
                assert!(passed.contains(&(live.id(), lock)), "it is not known what {lock:?} passes on: {effects:?}");
            }
        }
    }
}
