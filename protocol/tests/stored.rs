//! Stores that outlive the build that wrote them: what is stored changes only with its format, whole stores of every
//! format go on where they were, and an older build leaves a newer store alone.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod support;

use alloy_primitives::hex;
use farthing_protocol::channel::State;
use farthing_protocol::hub::Hub;
use farthing_protocol::journal::{FORMAT, decode, encode};
use farthing_protocol::types::{Asset, ETH, Side};
use farthing_protocol::wallet::{Balance, Payee, Status, Wallet};
use farthing_protocol::{Amount, Code};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::{Store, World, entries, key};

/// The first format of which whole stores were kept.
const FIRST: u8 = 3;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Every `stored!` of the sources, one a line.
fn shapes(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            shapes(&path, found);
        } else if !path.ends_with("codec/tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            for part in text.split("\nstored!(").skip(1) {
                let (shape, _) = part.split_once(");").expect("the end of a stored!");
                let words: Vec<&str> = shape.split_whitespace().collect();
                found.push(words.join(" ").replace(", }", " }"));
            }
        }
    }
}

fn all_shapes() -> Vec<String> {
    let mut found = Vec::new();
    shapes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    found
}

#[test]
fn what_is_stored_changes_only_with_the_format() {
    let found = all_shapes();
    let name = format!("stored-v{FORMAT}.txt");
    let kept = fs::read_to_string(golden(&name)).unwrap_or_default();
    let (found, kept): (Vec<&str>, Vec<&str>) = (found.iter().map(String::as_str).collect(), kept.lines().collect());
    let added: Vec<_> = found.iter().filter(|line| !kept.contains(line)).collect();
    let gone: Vec<_> = kept.iter().filter(|line| !found.contains(line)).collect();
    assert!(
        added.is_empty() && gone.is_empty(),
        "records of format {FORMAT} are as in {name}, for ever. What changes takes a new format, see \
         docs/adr/0011-stores-that-grow.md.\nadded: {added:#?}\ngone: {gone:#?}"
    );
}

/// Two wallets and their hub in the middle of things: payments that ended and are in the history, two on their way, a
/// withdrawal that may still be mined, and of each journal a snapshot and a log.
fn busy() -> World {
    let mut world = World::funded(2);
    world.pay(0, 1, 700).unwrap();
    world.pay(1, 0, 50).unwrap();
    world.pay_as(0, Payee::Hub, 12).unwrap();
    world.settle();
    world.pass(1);
    // Facts without payments, until there are snapshots.
    for client in [0, 1] {
        for _ in 0..500 {
            world.deposit(client, Side::A, ETH, 1);
            world.settle();
        }
    }
    world.deposit(0, Side::A, Asset::repeat_byte(7), 5);
    world.settle();
    world.paid(1, 0, 20);
    // One that the hub has passed on, and one that it holds.
    world.pay(0, 1, 90).unwrap();
    while !world.hub_store.keys().any(|key| key.starts_with("pair/")) {
        assert!(world.step(), "it is passed on");
    }
    world.disconnect(1);
    world.paid(0, 1, 300);
    world.disconnect(0);
    let owner = world.clients[0].wallet.channel().def().a.owner;
    let deadline = world.now + 600;
    world.clients[0].wallet.withdraw(ETH, Amount::new(40), owner, Default::default(), deadline, true).unwrap();
    world.settle();
    world
}

fn store_to_json(store: &Store) -> Value {
    let entries = store.iter().map(|(key, value)| (key.clone(), hex::encode(value).into()));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn store_of(json: &Value) -> Store {
    let entries = json.as_object().unwrap().iter();
    entries.map(|(key, value)| (key.clone(), hex::decode(value.as_str().unwrap()).unwrap())).collect()
}

/// By name: what a later build shows besides does not count.
fn balance(balance: &Balance) -> Value {
    let units = [balance.available, balance.locked_out, balance.locked_in, balance.receivable, balance.deposited];
    json!([balance.asset, units.map(|amount| amount.to_string()), balance.withdrawn.to_string()])
}

/// What a wallet shows, for comparison.
fn shown(world: &World, client: usize) -> Value {
    let Some(wallet) = world.clients.get(client).map(|client| &client.wallet) else { return Value::Null };
    let payments =
        Wallet::stored_payments(&Wallet::prefix(&world.clients[client].config), &entries(&world.clients[client].store));
    let payments: Vec<Value> = payments
        .unwrap()
        .iter()
        .map(|payment| json!([format!("{payment:?}"), payment.memo, payment.preimage.map(hex::encode)]))
        .collect();
    json!({
        "state": hex::encode(encode(wallet.channel().state())),
        "balances": wallet.balances().iter().map(balance).collect::<Vec<_>>(),
        "payments": payments,
    })
}

fn hub_shown(world: &World) -> Value {
    let channel = |client| hex::encode(encode(world.hub.channel(&world.id(client)).unwrap().state()));
    json!({ "channels": [channel(0), channel(1)], "held": world.hub.held_count() })
}

#[test]
#[ignore = "writes the stores of a new format, once"]
fn write_the_stores_of_a_new_format() {
    let (path, shapes) = (golden(&format!("stores-v{FORMAT}.json")), golden(&format!("stored-v{FORMAT}.txt")));
    assert!(!path.exists() && !shapes.exists(), "what is there of format {FORMAT} is kept for ever");
    fs::write(shapes, all_shapes().join("\n") + "\n").unwrap();
    let world = busy();
    let clients: Vec<Value> = [0, 1]
        .map(|client| json!({ "store": store_to_json(&world.clients[client].store), "shown": shown(&world, client) }))
        .into();
    let deposits: Vec<u128> =
        [0, 1].map(|client| world.deposits[&(world.id(client), ETH)].0.a.units()).into_iter().collect();
    let stores = json!({
        "about": "the stores of two wallets and their hub, by key, as a build of this format left them (protocol/tests/stored.rs)",
        "now": world.now, "block": world.block, "deposits": deposits,
        "clients": clients,
        "hub": { "store": store_to_json(&world.hub_store), "shown": hub_shown(&world) },
    });
    fs::write(path, serde_json::to_string_pretty(&stores).unwrap() + "\n").unwrap();
}

/// The stores that were kept, each record as it is.
fn kept(format: u8) -> (World, Value) {
    let name = format!("stores-v{format}.json");
    let text =
        fs::read_to_string(golden(&name)).unwrap_or_else(|_| panic!("{name} is missing: write it, see this file"));
    let file: Value = serde_json::from_str(&text).unwrap();
    let mut world = World::new(2);
    (world.now, world.block) = (file["now"].as_u64().unwrap(), file["block"].as_u64().unwrap());
    world.hub_store = store_of(&file["hub"]["store"]);
    for client in [0, 1] {
        world.clients[client].store = store_of(&file["clients"][client]["store"]);
    }
    (world, file)
}

/// Every process starts from its store.
fn start(world: &mut World, file: &Value) {
    for client in [0, 1] {
        world.restart_client(client);
    }
    world.restart_hub();
    for client in [0, 1] {
        world.deposit(client, Side::A, ETH, u128::from(file["deposits"][client].as_u64().unwrap()));
    }
}

/// The state that is kept, as this build writes it.
fn now(state: &Value) -> Value {
    let state: State = decode(&hex::decode(state.as_str().unwrap()).unwrap()).unwrap();
    hex::encode(encode(&state)).into()
}

fn goes_on(mut world: World, file: &Value) {
    let mut expected: Vec<Value> = [0, 1].map(|client| file["clients"][client]["shown"].clone()).into();
    for (client, expected) in expected.iter_mut().enumerate() {
        world.restart_client(client);
        expected["state"] = now(&expected["state"]);
        assert_eq!(shown(&world, client), *expected, "client {client}");
    }
    world.restart_hub();
    let mut expected = file["hub"]["shown"].clone();
    expected["channels"] = [0, 1].map(|client| now(&expected["channels"][client])).to_vec().into();
    assert_eq!(hub_shown(&world), expected);

    // And what was begun is finished: the payments arrive, the withdrawal is signed and sent.
    start(&mut world, file);
    let before = [world.available(0), world.available(1)];
    world.connect(0);
    world.connect(1);
    world.settle();
    assert_eq!(world.available(1), before[1] + 390);
    let payments = world.clients[0].wallet.payments();
    assert!(payments.iter().all(|payment| payment.status == Status::Completed), "{payments:?}");
    assert_eq!(world.clients[0].wallet.balance(ETH).withdrawn, Amount::new(40));
    world.paid(1, 0, 1_000);
    assert_eq!(world.available(1), before[1] + 390 - 1_000);
}

#[test]
fn stores_of_every_format_go_on_where_they_were() {
    for format in FIRST..=FORMAT {
        let (world, file) = kept(format);
        goes_on(world, &file);
    }
}

fn every_store(world: &mut World) -> [&mut Store; 3] {
    let [first, second] = &mut world.clients[..] else { panic!("two clients") };
    [&mut first.store, &mut second.store, &mut world.hub_store]
}

/// Format 2 was the same without a checksum.
#[test]
fn stores_of_format_2_go_on_too() {
    let (mut world, file) = kept(FIRST);
    for store in every_store(&mut world) {
        for value in store.values_mut() {
            value[0] = 2;
            value.truncate(value.len() - 4);
        }
    }
    goes_on(world, &file);
}

#[test]
fn one_record_of_a_newer_format_and_the_whole_store_is_refused() {
    let (mut world, _) = kept(FIRST);
    let mut tried = 0;
    for who in 0..3 {
        let names: Vec<String> = every_store(&mut world)[who].keys().cloned().collect();
        for name in names {
            let store = &mut every_store(&mut world)[who];
            let whole = store[&name].clone();
            store.get_mut(&name).unwrap()[0] = FORMAT + 1;
            let store = entries(store);
            let refused = match world.clients.get(who) {
                // Read when the history is asked for.
                Some(_) if name.contains("/history/") => Wallet::decode_history(&world.clients[who].store[&name]).err(),
                Some(client) => Wallet::restore(client.config.clone(), Some(client.key.clone()), &store).err(),
                None => Hub::restore(world.hub_config.clone(), key(200), &store, world.now).err(),
            };
            assert_eq!(refused.map(|error| error.code()), Some(Code::StorageVersion), "{name}");
            every_store(&mut world)[who].insert(name, whole);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried} records");
}
