//! What a watchtower takes and refuses, what it promises, and that it keeps no more than it needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::{B256, Bytes};
use farthing_hub::clock;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::lane::Lock;
use farthing_protocol::proof::{LaneId, Proof};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::tree::LockTree;
use farthing_protocol::watch::{WatchOrder, WatchedEvidence, WatchedLane};
use farthing_protocol::{Amount, Code, ETH, Side};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::slice::from_ref;
use support::client::call;
use support::tower::{Pair, address, caught_up, end, put, rows, start, transactions, units, url};
use support::{Chain, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_order_is_refused_with_its_code_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &folder.path().join("watch.sqlite"), "[limits]\nchannels_per_client = 1").await;
    let url = url(&tower);
    let first = [pair.lane(Side::A, 7, 400), pair.lane(Side::B, 2, 50)];
    put(&url, pair.order(Side::B), &first).await.unwrap();
    let before = call(&url, "watch_status", json!({ "channelId": pair.id() })).await.unwrap();
    let counted = rows(&tower.tower).await;
    let order = pair.order(Side::B);

    // One more good lane beside the bad one: all of a put is taken, or none.
    let refused = async |code: Code, order: WatchOrder, bad: WatchedLane| {
        let good = pair.lane(bad.payer.other(), 99, 1);
        let error = put(&url, order, &[good, bad]).await.unwrap_err();
        assert_eq!(error["data"]["code"], code.as_str(), "{error}");
        let after = call(&url, "watch_status", json!({ "channelId": pair.id() })).await.unwrap();
        assert_eq!((after, rows(&tower.tower).await), (before.clone(), counted));
    };
    let newer = pair.lane(Side::A, 8, 500);
    let mut forged = newer.clone();
    forged.signed.signature = first[0].signed.signature;
    refused(Code::BadSignature, order, forged).await;
    refused(Code::BadNonce, order, pair.lane(Side::A, 6, 900)).await;
    refused(Code::BadNonce, order, pair.lane(Side::A, 7, 401)).await;
    for payer in Side::BOTH {
        let mut unacknowledged = pair.lane(payer, 8, 500);
        unacknowledged.acknowledgement = None;
        refused(Code::InvalidArgument, order, unacknowledged.clone()).await;
        unacknowledged.acknowledgement = pair.lane(payer, 7, 500).acknowledgement;
        refused(Code::BadSignature, order, unacknowledged).await;
    }
    let stranger = SecretKey::derive("stranger", &[]).unwrap();
    let foreign = WatchOrder::sign(pair.def, clock::now() + 60, address(), &pair.domain, &stranger);
    refused(Code::BadSignature, foreign, newer.clone()).await;
    let elsewhere = WatchOrder::sign(pair.def, clock::now() + 60, stranger.address(), &pair.domain, &pair.b);
    refused(Code::BadSignature, elsewhere, newer.clone()).await;
    let late = WatchOrder::sign(pair.def, clock::now() - 1, address(), &pair.domain, &pair.b);
    refused(Code::BadExpiry, late, newer.clone()).await;
    refused(Code::UnknownChannel, order, Pair { asset: ETH, ..Pair::new(&chain, 1) }.lane(Side::A, 8, 1)).await;
    let twice = [pair.lane(Side::A, 8, 500), pair.lane(Side::A, 9, 501)];
    assert_eq!(put(&url, order, &twice).await.unwrap_err()["data"]["code"], "invalid-argument");
    assert_eq!(rows(&tower.tower).await, counted);

    // Another channel of the same signers is one too many for Bob, but not for Alice.
    let mut second = Pair::new(&chain, 1);
    second.def.salt = 2;
    chain.deposit(&second.def, second.asset, Amount::new(5)).await;
    let lane = second.lane(Side::A, 1, 1);
    let error = put(&url, second.order(Side::B), from_ref(&lane)).await.unwrap_err();
    assert_eq!(error["data"]["code"], Code::LimitExceeded.as_str());
    assert_eq!(rows(&tower.tower).await, counted);
    let unfunded = Pair::new(&chain, 3);
    let error = put(&url, unfunded.order(Side::A), &[unfunded.lane(Side::A, 1, 1)]).await.unwrap_err();
    assert_eq!(error["data"]["code"], Code::UnknownChannel.as_str());
    assert_eq!(rows(&tower.tower).await, counted);
    put(&url, second.order(Side::A), &[lane]).await.unwrap();

    // Malformed calls of all kinds.
    for params in [json!([]), json!({}), json!({ "order": order, "lanes": [], "more": 1 }), json!({ "lanes": [] })] {
        assert_eq!(call(&url, "watch_put", params).await.unwrap_err()["data"]["code"], "invalid-argument");
    }
    assert_eq!(call(&url, "watch_take", json!({})).await.unwrap_err()["data"]["code"], "unsupported");
    let long = json!({ "order": order, "lanes": [], "x": "y".repeat(70_000) });
    assert_eq!(call(&url, "watch_put", long).await.unwrap_err()["data"]["code"], "message-too-large");
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_proves_what_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("watch.sqlite");
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &database, "").await;
    let terms = call(&url(&tower), "watch_config", json!({})).await.unwrap();
    assert_eq!(terms["tower"], json!(address()));
    let lanes = [pair.lane(Side::B, 2, 50), pair.lane(Side::A, 7, 400)];
    let receipts = put(&url(&tower), pair.order(Side::B), &lanes).await.unwrap();
    for (lane, receipt) in lanes.iter().zip(&receipts) {
        let name = LaneId { asset: lane.asset, payer: lane.payer };
        receipt.verify(&pair.domain, address(), pair.id(), name, &lane.signed).unwrap();
    }
    // Asking again for the same, at another second, changes nothing, not even the time.
    until("a second has passed", || async { (clock::now() > receipts[0].receipt.time).then_some(()) }).await;
    assert_eq!(put(&url(&tower), pair.order(Side::A), &lanes).await.unwrap(), receipts);
    assert_eq!(rows(&tower.tower).await, [1, 2, 2, 0]);
    end(tower).await;
    let tower = start(&chain, &database, "").await;
    assert_eq!(tower.tower.status(pair.id()).await.unwrap().1.len(), 2);
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_updates_leave_as_many_rows_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("watch.sqlite");
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &database, "").await;
    let order = pair.order(Side::B);
    let both = |nonce: u64| vec![pair.lane(Side::A, nonce, u128::from(nonce)), pair.lane(Side::B, nonce, 1)];
    tower.tower.put(order, both(1)).await.unwrap();
    let one = (rows(&tower.tower).await, pages(&tower.tower).await);
    let puts = futures_util::stream::iter(2..=10_000_u64).map(|nonce| {
        let (tower, lanes) = (tower.tower.clone(), both(nonce));
        // One that is overtaken is refused; that is no loss.
        async move { tower.put(order, lanes).await.map_or_else(|error| assert_eq!(error.code(), Code::BadNonce), drop) }
    });
    puts.buffered(64).collect::<()>().await;
    let many = (rows(&tower.tower).await, pages(&tower.tower).await);
    assert_eq!((one, one.0), (many, [1, 1, 2, 0]));
    let (_, receipts) = tower.tower.status(pair.id()).await.unwrap();
    assert!(receipts.iter().all(|signed| signed.receipt.nonce == 10_000), "{receipts:?}");
    end(tower).await;
}

async fn pages(tower: &farthing_hub::watch::Tower) -> u64 {
    tower.pages().await.unwrap()
}

/// A proof with one lock of 30 in the slot of its nonce, and the evidence for it.
fn locked(pair: &Pair, nonce: u16, secret: [u8; 32], expiry: u64) -> WatchedLane {
    let condition = Condition::hash_lock(sha256(&secret));
    let lock = Lock { key: condition.key(expiry), n: 3, unit_price: Amount::new(10), redeemed: 0 };
    let mut tree = LockTree::default();
    tree.set(nonce, lock.leaf());
    let (locks_root, siblings) = (tree.root(), tree.siblings(nonce));
    let proof = Proof { nonce: nonce.into(), transferred: Amount::ZERO, locked: Amount::new(30), locks_root, seen: 0 };
    let evidence = Bytes::copy_from_slice(&secret);
    let Lock { n, unit_price, redeemed, .. } = lock;
    let evidence = WatchedEvidence { slot: nonce, n, unit_price, redeemed, condition, expiry, siblings, evidence };
    WatchedLane { evidence: vec![evidence], ..pair.sign(Side::A, proof) }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_recorded_before_it_expires_and_forgotten_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let listed = format!("clients = [\"{}\"]\nrecord_margin = 100", pair.b.address());
    let tower = start(&chain, &folder.path().join("watch.sqlite"), &listed).await;
    let url = url(&tower);
    let expiry = clock::now() + 1_000;
    let (first, second) = (locked(&pair, 1, [1; 32], expiry), locked(&pair, 2, [2; 32], expiry));
    let key = |lane: &WatchedLane| -> B256 { lane.evidence[0].condition.key(expiry).0 };
    let code = |error: Value| error["data"]["code"].as_str().unwrap().to_owned();
    assert_eq!(code(put(&url, pair.order(Side::A), from_ref(&first)).await.unwrap_err()), "limit-exceeded");
    let mut wrong = first.clone();
    wrong.evidence[0].evidence = Bytes::from_static(&[9; 32]);
    assert_eq!(code(put(&url, pair.order(Side::B), &[wrong]).await.unwrap_err()), "bad-evidence");
    let mut elsewhere = first.clone();
    elsewhere.evidence = second.evidence.clone();
    assert_eq!(code(put(&url, pair.order(Side::B), &[elsewhere]).await.unwrap_err()), "bad-evidence");
    assert_eq!(rows(&tower.tower).await, [0; 4]);

    put(&url, pair.order(Side::B), from_ref(&first)).await.unwrap();
    assert_eq!(rows(&tower.tower).await, [1, 1, 1, 1]);
    // The first lock is gone from the newer proof, and its evidence with it.
    put(&url, pair.order(Side::B), from_ref(&second)).await.unwrap();
    assert_eq!(rows(&tower.tower).await, [1, 1, 1, 1]);
    chain.mine(1).await;
    caught_up(&tower, &chain).await;
    assert_eq!(transactions(&chain).await, 0, "it is early");
    chain.ask("evm_setNextBlockTimestamp", json!([expiry - 90])).await;
    chain.mine(1).await;
    until("it is recorded", || async { (units(&chain, key(&second)).await == u32::MAX).then_some(()) }).await;
    assert_eq!(units(&chain, key(&first)).await, 0);
    chain.mine(1).await;
    caught_up(&tower, &chain).await;
    assert_eq!(transactions(&chain).await, 1);
    chain.ask("evm_setNextBlockTimestamp", json!([expiry + 1])).await;
    chain.mine(3).await;
    until("it is forgotten", || async { (rows(&tower.tower).await == [1, 1, 1, 0]).then_some(()) }).await;
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_several_channels_goes_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pairs = [Pair::funded(&chain, 1, 1_000).await, Pair::funded(&chain, 2, 1_000).await];
    let clients = pairs.each_ref().map(|pair| pair.b.address().to_string());
    let listed = format!("clients = {}\nrecord_margin = 100", json!(clients));
    let tower = start(&chain, &folder.path().join("watch.sqlite"), &listed).await;
    let expiry = clock::now() + 1_000;
    let mut keys = Vec::new();
    for (pair, secret) in pairs.iter().zip([[1; 32], [2; 32]]) {
        let lane = locked(pair, 1, secret, expiry);
        keys.push(lane.evidence[0].condition.key(expiry).0);
        put(&url(&tower), pair.order(Side::B), &[lane]).await.unwrap();
    }
    chain.ask("evm_setNextBlockTimestamp", json!([expiry - 90])).await;
    chain.mine(1).await;
    for key in keys {
        until("it is recorded", || async { (units(&chain, key).await == u32::MAX).then_some(()) }).await;
    }
    chain.mine(1).await;
    caught_up(&tower, &chain).await;
    assert_eq!(transactions(&chain).await, 1);
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_balance_is_told_and_strangers_get_no_evidence_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    chain.ask("anvil_setBalance", json!([chain.accounts[0], "0x1"])).await;
    let tower = start(&chain, &folder.path().join("watch.sqlite"), "").await;
    let ready = || async {
        let text = reqwest::get(format!("{}/ready", url(&tower))).await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let low = ready().await["gas"].clone();
    assert_eq!(low, json!({ "account": chain.accounts[0], "balance": "1", "low": true }));
    chain.ask("anvil_setBalance", json!([chain.accounts[0], "0xde0b6b3a7640000"])).await;
    chain.mine(1).await;
    until("it is enough", || async { (ready().await["gas"]["low"] == json!(false)).then_some(()) }).await;
    assert_eq!(ready().await["ready"], json!(true));

    let lane = locked(&pair, 1, [1; 32], clock::now() + 1_000);
    let error = put(&url(&tower), pair.order(Side::B), &[lane]).await.unwrap_err();
    assert_eq!(error["data"]["code"], "limit-exceeded");
    end(tower).await;
}
