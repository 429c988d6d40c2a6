//! What counts on a chain that changes its mind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use farthing_hub::node::Node;
use farthing_protocol::ETH;
use serde_json::{Value, json};
use support::client::call;
use support::{Chain, ClientConfig, eth, start, until};

async fn seen(url: &str, config: &ClientConfig) -> Value {
    let status = call(url, "farthing_channel", json!({ "channelId": config.id() })).await.unwrap();
    let assets = status["assets"].as_array().unwrap();
    assets.iter().find(|asset| asset["asset"] == json!(ETH)).map_or(json!("0"), |asset| asset["deposits"]["a"].clone())
}

async fn caught_up(hub: &Node, chain: &Chain) -> u64 {
    let newest = chain.rpc.latest().await.unwrap().number;
    until("the hub has caught up", || async {
        // Also after a reorg, when its last head may have been higher.
        (hub.health.report().head == Some(newest)).then_some(newest)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_counts_when_it_is_final_and_a_reorg_before_that_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let hub = start(&chain, &folder.path().join("hub.sqlite"), "").await;
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let config = client.config.clone();

    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    chain.deposit(&config.def, ETH, eth(5)).await;
    chain.mine(1).await;
    caught_up(&hub, &chain).await;
    assert_eq!(seen(&url, &config).await, "0", "one confirmation of two");
    chain.ask("evm_revert", json!([snapshot])).await;
    chain.mine(6).await;
    caught_up(&hub, &chain).await;
    assert_eq!(seen(&url, &config).await, "0", "it was taken back");

    chain.deposit(&config.def, ETH, eth(7)).await;
    chain.mine(2).await;
    until("it is final", || async { (seen(&url, &config).await == eth(7).to_string()).then_some(()) }).await;
    client.end().await;
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_below_what_was_final_is_noticed_and_everything_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let config = client.config.clone();
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    chain.deposit(&config.def, ETH, eth(5)).await;
    chain.mine(4).await;
    until("it is final", || async { (seen(&url, &config).await == eth(5).to_string()).then_some(()) }).await;

    // Also when the hub was away while it happened.
    hub.stop();
    hub.ended().await.unwrap();
    chain.ask("evm_revert", json!([snapshot])).await;
    chain.mine(20).await;
    let hub = start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    until("it is taken back", || async { (seen(&url, &config).await == "0").then_some(()) }).await;
    client.end().await;
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_made_while_the_hub_was_away_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await;
    // Nobody registers this one: it is announced on chain alone.
    let unknown = ClientConfig::new(&chain, 2, &url, folder.path()).await;
    let registered = json!({ "channel": client.def, "publicKey": client.key.public_key() });
    call(&url, "farthing_register", registered).await.unwrap();
    caught_up(&hub, &chain).await;
    hub.stop();
    hub.ended().await.unwrap();

    chain.deposit(&client.def, ETH, eth(3)).await;
    chain.deposit(&unknown.def, ETH, eth(4)).await;
    chain.mine(30).await;
    let hub = start(&chain, &database, "log_range = 7").await;
    let url = format!("http://{}", hub.address);
    until("it is found", || async { (seen(&url, &client).await == eth(3).to_string()).then_some(()) }).await;
    assert_eq!(seen(&url, &unknown).await, eth(4).to_string());
    hub.stop();
    hub.ended().await.unwrap();
}
