//! The watchtower answers exits, through crashes and reorgs, and forgets what is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

/// How often a test may go back in time.
const ROUNDS: usize = 20;

use alloy_primitives::U256;
use farthing_hub::clock;
use farthing_hub::store::{Sqlite, Store};
use farthing_protocol::chain::ChainCall;
use farthing_protocol::message::{Closing, ClosingAsset};
use farthing_protocol::{Amount, Side, Sides};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use support::client::call;
use support::tower::{Pair, caught_up, end, put, rows, spawn, start, transactions, url};
use support::{Chain, until};

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

    // Asked again and again while an answer waits to be mined, it does not answer again.
    chain.ask("evm_setAutomine", json!([false])).await;
    let mut looks = tower.health.looks();
    for _ in 0..4 {
        put(&url(&tower), pair.order(Side::B), &[pair.lane(Side::A, 9, 600)]).await.unwrap();
        // One that was under way, and one that began after the put.
        for _ in 0..2 {
            looks.changed().await.unwrap();
        }
    }
    chain.ask("evm_setAutomine", json!([true])).await;
    until("it is mined", || async {
        chain.mine(1).await;
        (pair.shown(&chain, Side::A).await.nonce == 9).then_some(())
    })
    .await;
    caught_up(&tower, &chain).await;
    assert_eq!(transactions(&chain).await, 2, "only what was new");
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
    // All of the same state: going back to one uses it up, and those that were taken after it.
    let mut snapshots = Vec::new();
    for _ in 0..ROUNDS {
        snapshots.push(chain.ask("evm_snapshot", json!([])).await);
    }
    exit().await;
    pair.until_shown(&chain, Side::A, 7).await;
    undo(snapshots.pop().unwrap()).await;

    // It is mined again at once, and the answer with it. The sender broadcasts the answer again by itself: where it
    // does so before the exit is there, the answer fails, which is the next case; then once more from the start.
    loop {
        exit().await;
        let answered = until("the answer is mined", || async {
            (transactions(&chain).await == 1).then_some(())?;
            Some(pair.shown(&chain, Side::A).await.nonce == 7)
        })
        .await;
        undo(snapshots.pop().expect("the answer is mined before the exit, time and again")).await;
        if answered {
            break;
        }
    }

    // It is mined again when the tower has forgotten it and the answer has failed.
    until("the answer is mined without an exit", || async { (transactions(&chain).await == 1).then_some(()) }).await;
    assert_eq!(pair.shown(&chain, Side::A).await.nonce, 0, "it failed");
    chain.mine(60).await;
    caught_up(&tower, &chain).await;
    until("it is forgotten", || async {
        let status = call(&url(&tower), "watch_status", json!({ "channelId": pair.id() })).await.unwrap();
        status["exitEndsAt"].is_null().then_some(())
    })
    .await;
    exit().await;
    until("it is answered again", || async {
        // A look comes with each block, and the sender may learn after this one that the answer has failed.
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
