//! The hub's own transactions: each happens once, whatever becomes of mempool, fees and process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use farthing_protocol::ETH;
use serde_json::{Value, json};
use std::path::Path;
use support::{Chain, ClientConfig, Process, eth, until};

/// The hub's transactions that wait in the mempool.
async fn pending(chain: &Chain) -> Vec<Value> {
    let content = chain.ask("txpool_content", json!([])).await;
    let owner = chain.accounts[0].to_string().to_lowercase();
    let of_owner = content["pending"].as_object().unwrap().iter().filter(|(from, _)| from.to_lowercase() == owner);
    of_owner.flat_map(|(_, by_nonce)| by_nonce.as_object().unwrap().values().cloned().collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_sent_again_after_a_crash_with_a_higher_fee_when_stuck_and_mined_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let program = Path::new(env!("CARGO_BIN_EXE_farthing-hub"));
    let chain = Chain::start().await;
    let hub = Process::start(program, &chain, &database, "").await;
    let client = ClientConfig::new(&chain, 1, &hub.url, folder.path()).await.start(&hub.url).await;
    chain.deposit(&client.config.def, ETH, eth(5_000)).await;
    chain.ask("evm_setAutomine", json!([false])).await;
    chain.mine(3).await;
    let first = until("the collateral is on its way", || async { pending(&chain).await.pop() }).await;

    // The node forgets it and the hub crashes: the very same bytes come back.
    hub.kill().await;
    chain.ask("anvil_dropAllTransactions", json!([])).await;
    assert!(pending(&chain).await.is_empty());
    let hub = Process::start(program, &chain, &database, "").await;
    let again = until("it is back", || async { pending(&chain).await.pop() }).await;
    assert_eq!(again["hash"], first["hash"]);
    hub.kill().await;

    // Blocks pass it by, since they cost more than it may pay: the fee rises, the nonce stays.
    let hub = Process::start(program, &chain, &database, "stuck_after = 1").await;
    chain.ask("anvil_setNextBlockBaseFeePerGas", json!(["0xba43b7400"])).await;
    chain.mine(3).await;
    let raised = until("the fee is raised", || async {
        pending(&chain).await.into_iter().find(|transaction| transaction["hash"] != first["hash"])
    })
    .await;
    assert_eq!((&raised["nonce"], &raised["input"]), (&first["nonce"], &first["input"]));
    chain.ask("evm_setAutomine", json!([true])).await;
    until("the collateral is mined", || async {
        chain.mine(1).await;
        let state = chain.state(client.id.0, ETH).await;
        (state.depositB > 0).then_some(())
    })
    .await;
    hub.kill().await;

    // Another start finds nothing left to send.
    let hub = Process::start(program, &chain, &database, "").await;
    chain.mine(5).await;
    let url = hub.url.clone();
    client.connect(&url).await.unwrap();
    client.when("the collateral counts", |wallet| wallet.balance(ETH).receivable >= eth(1_000)).await;
    assert!(pending(&chain).await.is_empty());
    assert_eq!(chain.state(client.id.0, ETH).await.depositB, eth(1_000).units(), "once");
    client.end().await;
    hub.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_a_deep_reorg_took_back_is_sent_again_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let hub = support::start(&chain, &folder.path().join("hub.sqlite"), "").await;
    let url = format!("http://{}", hub.address);
    let first = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let second = ClientConfig::new(&chain, 2, &url, folder.path()).await.start(&url).await;
    chain.deposit(&first.config.def, ETH, eth(5_000)).await;
    chain.ask("evm_setAutomine", json!([false])).await;
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    chain.mine(3).await;
    let collateral = until("the collateral is on its way", || async { pending(&chain).await.pop() }).await;
    chain.mine(6).await;
    first.when("the collateral is final", |wallet| wallet.balance(ETH).receivable >= eth(1_000)).await;

    // The chain is another one from the block with the deposit on, longer than before, and its nodes know nothing more.
    chain.ask("evm_revert", json!([snapshot])).await;
    chain.mine(12).await;
    // The same bytes, with the same nonce; they may be mined already.
    until("it is sent again", || async {
        let known = chain.ask("eth_getTransactionByHash", json!([collateral["hash"]])).await;
        (!known.is_null()).then_some(())
    })
    .await;
    chain.ask("evm_setAutomine", json!([true])).await;
    chain.deposit(&second.config.def, ETH, eth(5_000)).await;
    until("both are mined, once", || async {
        chain.mine(1).await;
        let (one, other) = (chain.state(first.id.0, ETH).await, chain.state(second.id.0, ETH).await);
        (one.depositB == eth(1_000).units() && other.depositB == eth(1_000).units()).then_some(())
    })
    .await;
    chain.mine(6).await;
    assert!(pending(&chain).await.is_empty());
    first.end().await;
    second.end().await;
    hub.stop();
    hub.ended().await.unwrap();
}
