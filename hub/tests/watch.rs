//! The watchtower: what it takes, what it remembers, and that it answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::{B256, Bytes, U256};
use farthing_hub::clock;
use farthing_hub::store::{Sqlite, Store};
use farthing_hub::watch::{Tower, WatchNode};
use farthing_protocol::chain::ChainCall;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::lane::Lock;
use farthing_protocol::message::{Closing, ClosingAsset};
use farthing_protocol::proof::{LaneId, Proof};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::tree::LockTree;
use farthing_protocol::watch::{SignedReceipt, WatchOrder, WatchedEvidence, WatchedLane};
use farthing_protocol::{Amount, Code, ETH, Side, Sides};
use futures_util::StreamExt;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use std::slice::from_ref;
use support::client::call;
use support::tower::{Pair, address, caught_up, spawn, start, transactions, units};
use support::{Chain, until};

async fn put(url: &str, order: WatchOrder, lanes: &[WatchedLane]) -> Result<Vec<SignedReceipt>, Value> {
    let mut answer = call(url, "watch_put", json!({ "order": order, "lanes": lanes })).await?;
    Ok(serde_json::from_value(answer["receipts"].take()).unwrap())
}

fn url(node: &WatchNode) -> String {
    format!("http://{}", node.address)
}

async fn end(node: WatchNode) {
    node.stop();
    node.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_with_an_old_proof_is_answered_with_the_newest_and_settles_right() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &folder.path().join("watch.sqlite"), "").await;
    // Bob is paid 400, pays 50 back, and goes to sleep.
    let lanes = [pair.lane(Side::A, 7, 400), pair.lane(Side::B, 2, 50)];
    put(&url(&tower), pair.order(Side::B), &lanes).await.unwrap();
    pair.exit(&chain, &[pair.lane(Side::A, 1, 10)]).await;
    pair.until_shown(&chain, Side::A, 7).await;
    pair.until_shown(&chain, Side::B, 2).await;
    assert_eq!(transactions(&chain).await, 1, "one transaction for both lanes");
    chain.mine(3).await;
    caught_up(&tower, &chain).await;
    assert_eq!(transactions(&chain).await, 1, "never twice");
    assert_eq!(pair.settle(&chain).await, (U256::from(650), U256::from(350)));

    assert_eq!(tower.tower.status(pair.id()).await.unwrap().1.len(), 2, "kept until it is final");
    chain.mine(3).await;
    until("its rows are gone", || async { (rows(&tower.tower).await == [0; 4]).then_some(()) }).await;
    let error = put(&url(&tower), pair.order(Side::B), &lanes).await.unwrap_err();
    assert_eq!(error["data"]["code"], "channel-exiting");
    end(tower).await;
}

async fn rows(tower: &Tower) -> [u64; 4] {
    tower.rows().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_that_shows_the_newest_proofs_needs_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &folder.path().join("watch.sqlite"), "").await;
    put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap();
    pair.exit(&chain, &[pair.lane(Side::A, 7, 400)]).await;
    chain.mine(2).await;
    caught_up(&tower, &chain).await;
    // Bob wakes up with something newer while the exit runs, and hands it over.
    put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 8, 500)]).await.unwrap();
    pair.until_shown(&chain, Side::A, 8).await;
    assert_eq!(transactions(&chain).await, 1, "only what was new");
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tower_killed_after_its_receipt_answers_an_exit_that_it_did_not_see() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("watch.sqlite");
    let program = Path::new(env!("CARGO_BIN_EXE_farthing-hub"));
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = spawn(program, &chain, &database, "").await;
    let receipts = put(&tower.url, pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap();
    tower.kill().await;

    pair.exit(&chain, &[pair.lane(Side::A, 1, 10)]).await;
    chain.mine(30).await;
    let tower = spawn(program, &chain, &database, "log_range = 7").await;
    pair.until_shown(&chain, Side::A, 7).await;
    let status = call(&tower.url, "watch_status", json!({ "channelId": pair.id() })).await.unwrap();
    assert_eq!(status["receipts"], json!(receipts), "the same promise");
    assert!(status["exitEndsAt"].is_u64());
    tower.kill().await;

    // It has answered: another start sends nothing more.
    let tower = spawn(program, &chain, &database, "").await;
    chain.mine(3).await;
    until("it has seen the chain", || async {
        let ready = reqwest::get(format!("{}/ready", tower.url)).await.unwrap().text().await.unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        (ready["head"] == chain.rpc.latest().await.unwrap().number).then_some(())
    })
    .await;
    assert_eq!(transactions(&chain).await, 1);
    assert_eq!(pair.settle(&chain).await, (U256::from(600), U256::from(400)));
    tower.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_was_not_read_before_a_crash_is_read_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("watch.sqlite");
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &database, "").await;
    put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap();
    end(tower).await;
    pair.exit(&chain, &[pair.lane(Side::A, 1, 10)]).await;
    chain.mine(20).await;
    // As if it had been asked for after the exit was final, and the crash had come before the next look.
    let seen = chain.rpc.block(chain.rpc.latest().await.unwrap().number - 2).await.unwrap().unwrap();
    let store = Sqlite::open(&database).await.unwrap();
    store.set_fact("cursor", format!("{} {}", seen.number, seen.hash)).await.unwrap();
    store.close().await.unwrap();
    let mut connection = SqliteConnection::connect(&database.display().to_string()).await.unwrap();
    sqlx::query("UPDATE watched SET checked = 0").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let tower = start(&chain, &database, "").await;
    pair.until_shown(&chain, Side::A, 7).await;
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_that_undoes_the_exit_and_mines_it_again_is_answered_again() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let more = "stuck_after = 1\nconfirmations = 50";
    let tower = start(&chain, &folder.path().join("watch.sqlite"), more).await;
    put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap();
    caught_up(&tower, &chain).await;
    let old = [pair.lane(Side::A, 1, 10)];
    // Each time it starts, and so ends, at the very same second.
    let at = chain.rpc.latest().await.unwrap().timestamp + 1_000;
    let exit = async || {
        chain.ask("evm_setNextBlockTimestamp", json!([at])).await;
        pair.exit(&chain, &old).await;
    };
    let undo = async |snapshot: Value| {
        chain.ask("evm_revert", json!([snapshot])).await;
        assert_eq!(pair.shown(&chain, Side::A).await.nonce, 0, "undone");
    };
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    exit().await;
    pair.until_shown(&chain, Side::A, 7).await;
    undo(snapshot).await;

    // It is mined again at once, and the answer with it.
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    exit().await;
    pair.until_shown(&chain, Side::A, 7).await;
    undo(snapshot).await;

    // It is mined again when the tower has forgotten it and the answer may have failed.
    chain.mine(60).await;
    caught_up(&tower, &chain).await;
    until("it is forgotten", || async {
        let status = call(&url(&tower), "watch_status", json!({ "channelId": pair.id() })).await.unwrap();
        status["exitEndsAt"].is_null().then_some(())
    })
    .await;
    exit().await;
    until("it is answered again", || async {
        // That the answer failed has to be final first.
        chain.mine(1).await;
        (pair.shown(&chain, Side::A).await.nonce == 7).then_some(())
    })
    .await;
    assert_eq!(pair.settle(&chain).await, (U256::from(600), U256::from(400)));
    end(tower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_reorg_below_what_was_final_undoes_is_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &folder.path().join("watch.sqlite"), "").await;
    put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap();
    let old = [pair.lane(Side::A, 1, 10)];
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    pair.exit(&chain, &old).await;
    pair.until_shown(&chain, Side::A, 7).await;
    chain.mine(4).await;
    caught_up(&tower, &chain).await;
    chain.ask("evm_revert", json!([snapshot])).await;
    chain.mine(20).await;
    caught_up(&tower, &chain).await;
    pair.exit(&chain, &old).await;
    pair.until_shown(&chain, Side::A, 7).await;
    assert_eq!(pair.settle(&chain).await, (U256::from(600), U256::from(400)));
    end(tower).await;
}

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
    // Asking again for the same changes nothing, not even the time.
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

async fn pages(tower: &Tower) -> u64 {
    tower.pages().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_asset_is_forgotten_when_that_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let pair = Pair::funded(&chain, 1, 1_000).await;
    let tower = start(&chain, &folder.path().join("watch.sqlite"), "").await;
    put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap();
    caught_up(&tower, &chain).await;
    let totals = Sides { a: Amount::new(600), b: Amount::new(400) };
    let deposits = Sides { a: Amount::new(1_000), b: Amount::ZERO };
    let assets = vec![ClosingAsset { asset: pair.asset, totals, deposits }];
    let closing = Closing { assets, deadline: clock::now() + 60 };
    let digest = pair.domain.digest(&closing.to_abi(pair.id()));
    let signatures = Sides { a: pair.a.sign(digest), b: pair.b.sign(digest) };
    let close = ChainCall::Close { channel: pair.def, closing, signatures };
    let data = close.calldata(|_| pair.id()).to_vec();
    assert!(chain.send(chain.accounts[9], chain.contract, data, Amount::ZERO).await);
    chain.mine(1).await;
    caught_up(&tower, &chain).await;
    assert_eq!(rows(&tower.tower).await, [1, 1, 1, 0], "not final yet");
    chain.mine(1).await;
    until("it is forgotten", || async { (rows(&tower.tower).await == [0; 4]).then_some(()) }).await;
    let error = put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 7, 400)]).await.unwrap_err();
    assert_eq!(error["data"]["code"], "channel-closed");
    end(tower).await;
}

/// A proof with one lock of 30 in slot 3, and the evidence for it.
fn locked(pair: &Pair, nonce: u64, secret: [u8; 32], expiry: u64) -> WatchedLane {
    let condition = Condition::hash_lock(sha256(&secret));
    let lock = Lock { key: condition.key(expiry), n: 3, unit_price: Amount::new(10), redeemed: 0 };
    let mut tree = LockTree::default();
    tree.set(3, lock.leaf());
    let (locks_root, siblings) = (tree.root(), tree.siblings(3));
    let proof = Proof { nonce, transferred: Amount::ZERO, locked: Amount::new(30), locks_root, seen: 0 };
    let evidence = Bytes::copy_from_slice(&secret);
    let Lock { n, unit_price, redeemed, .. } = lock;
    let evidence = WatchedEvidence { slot: 3, n, unit_price, redeemed, condition, expiry, siblings, evidence };
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
