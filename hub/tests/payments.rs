//! Two clients pay each other through a hub on a real chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::U256;
use farthing_hub::clock;
use farthing_protocol::ETH;
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::wallet::{Payee, Status};
use support::client::{attach, call, payee, socket_call};
use support::{Chain, ClientConfig, eth, start, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_pay_each_other_in_eth_and_dai_and_take_the_rest_home() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let hub = start(&chain, &folder.path().join("hub.sqlite"), "").await;
    let url = format!("http://{}", hub.address);
    chain.mint(chain.accounts[0], eth(100_000)).await;

    let alice = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let bob = ClientConfig::new(&chain, 2, &url, folder.path()).await.start(&url).await;
    for asset in [ETH, chain.dai] {
        chain.deposit(&alice.config.def, asset, eth(5_000)).await;
        chain.deposit(&bob.config.def, asset, eth(5_000)).await;
    }
    // The hub's collateral needs an approval and four deposits; blocks go on while it sends them.
    until("the hub's collateral is final", || async {
        chain.mine(1).await;
        let filled = |asset: &serde_json::Value| asset["deposits"]["b"] == eth(1_000).to_string();
        for client in [&alice, &bob] {
            let params = serde_json::json!({ "channelId": client.id });
            let status = call(&url, "farthing_channel", params).await.unwrap();
            let assets = status["assets"].as_array().unwrap();
            if assets.len() < 2 || !assets.iter().all(filled) {
                return None;
            }
        }
        Some(())
    })
    .await;

    for asset in [ETH, chain.dai] {
        for client in [&alice, &bob] {
            client.when("funded", move |wallet| wallet.balance(asset).receivable >= eth(1_000)).await;
        }
        let to_bob = payee(&url, bob.config.key.address()).await;
        let to_alice = payee(&url, alice.config.key.address()).await;
        let there = alice.pay(&to_bob, asset, eth(300)).await;
        let back = bob.pay(&to_alice, asset, eth(100)).await;
        alice
            .when("paid", move |wallet| {
                wallet.payment(&there).is_some_and(|payment| payment.status == Status::Completed)
            })
            .await;
        bob.when("paid", move |wallet| {
            wallet.payment(&back).is_some_and(|payment| payment.status == Status::Completed)
        })
        .await;
        alice.when("settled", move |wallet| wallet.balance(asset).available == eth(4_800)).await;
        bob.when("settled", move |wallet| wallet.balance(asset).available == eth(5_200)).await;
    }
    let tip = alice.pay(&Payee::Hub, ETH, eth(1)).await;
    alice
        .when("the hub has it", move |wallet| {
            wallet.payment(&tip).is_some_and(|payment| payment.status == Status::Completed)
        })
        .await;

    // Bob's withdrawal is sent by the hub, to his owner's account.
    let before = chain.balance(bob.config.def.a.owner, chain.dai).await;
    let (dai, owner) = (chain.dai, bob.config.def.a.owner);
    let withdrawal = move |wallet: &mut farthing_protocol::wallet::Wallet| {
        wallet.withdraw(dai, eth(5_200), owner, alloy_primitives::Bytes::new(), clock::now() + 1_800, true)
    };
    bob.run(withdrawal).await.unwrap();
    until("the withdrawal is mined", || async {
        let now = chain.balance(owner, dai).await;
        (now == before + U256::from(eth(5_200).units())).then_some(())
    })
    .await;

    // Alice closes; the hub sends that too.
    let before = chain.balance(alice.config.def.a.owner, ETH).await;
    alice.run(move |wallet| wallet.close(&[ETH], clock::now() + 1_800, true)).await.unwrap();
    until("the closing is mined", || async {
        let now = chain.balance(alice.config.def.a.owner, ETH).await;
        (now == before + U256::from(eth(4_799).units())).then_some(())
    })
    .await;
    chain.mine(3).await;
    alice.when("closed", |wallet| wallet.balance(ETH).status == AssetStatus::Closed).await;

    alice.end().await;
    bob.end().await;
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_hub_goes_on_and_delivers_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    let alice = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let bob = ClientConfig::new(&chain, 2, &url, folder.path()).await.start(&url).await;
    chain.deposit(&alice.config.def, ETH, eth(5_000)).await;
    chain.deposit(&bob.config.def, ETH, eth(5_000)).await;
    support::fund(&chain, &[&alice, &bob]).await;

    let to_bob = payee(&url, bob.config.key.address()).await;
    let bob_config = bob.config.clone();
    bob.end().await;
    let mut asking = attach(&alice.config, &url).await.unwrap();
    within("the hub knows that Bob is away", async {
        let address = serde_json::json!({ "address": bob_config.key.address() });
        while socket_call(&mut asking, "farthing_lookup", address.clone(), drop).await.unwrap()["online"] == true {}
    })
    .await;
    drop(asking);
    alice.connect(&url).await.unwrap();
    let payment = alice.pay(&to_bob, ETH, eth(7)).await;
    alice
        .when("held", move |wallet| wallet.payment(&payment).is_some_and(|payment| payment.status == Status::Held))
        .await;
    hub.stop();
    hub.ended().await.unwrap();

    let hub = start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    let bob = bob_config.start(&url).await;
    bob.when("paid while away", |wallet| {
        wallet.balance(ETH).available == eth(5_007) || wallet.balance(ETH).locked_in > eth(0)
    })
    .await;
    alice.connect(&url).await.unwrap();
    alice
        .when("completed", move |wallet| {
            wallet.payment(&payment).is_some_and(|payment| payment.status == Status::Completed)
        })
        .await;
    bob.when("settled", |wallet| wallet.balance(ETH).available == eth(5_007)).await;
    alice.when("settled", |wallet| wallet.balance(ETH).available == eth(4_993)).await;
    alice.end().await;
    bob.end().await;
    hub.stop();
    hub.ended().await.unwrap();
}
