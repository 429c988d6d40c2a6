//! A hub without money for gas says so, and refuses at once what it could not do.
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
use farthing_protocol::ETH;
use farthing_protocol::wallet::Status;
use serde_json::{Value, json};
use support::client::payee;
use support::{Chain, ClientConfig, eth, until};

async fn ready(url: &str) -> (u16, Value) {
    let response = reqwest::get(format!("{url}/ready")).await.unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_without_its_reserve_is_not_ready_and_refuses_payments_that_need_collateral() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let owner = chain.accounts[0];
    let set_balance = async |wei: u128| chain.ask("anvil_setBalance", json!([owner, U256::from(wei)])).await;
    let hub = support::start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    assert_eq!(ready(&url).await.0, 200);
    let alice = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let bob = ClientConfig::new(&chain, 2, &url, folder.path()).await.start(&url).await;
    // Enough for as many tries as a busy machine needs.
    chain.deposit(&alice.config.def, ETH, eth(900_000)).await;
    chain.deposit(&bob.config.def, ETH, eth(5_000)).await;
    support::fund(&chain, &[&alice, &bob]).await;

    set_balance(1_000).await;
    let (status, said) = until("it is not ready", || async {
        chain.mine(1).await;
        Some(ready(&url).await).filter(|(status, _)| *status != 200)
    })
    .await;
    assert_eq!((status, &said["ready"], &said["reasons"]), (503, &json!(false), &json!(["gas low"])));
    assert_eq!((&said["gas"]["low"], &said["gas"]["reserve"]), (&json!(true), &json!("500000000000000000")));
    // The core hears of it within a second.
    let to = payee(&url, bob.config.key.address()).await;
    until("a payment that needs collateral is refused", || async {
        let id = alice.pay(&to, ETH, eth(1_500)).await;
        let ended = until("it ends, or waits", || async {
            let status = alice.run(move |wallet| wallet.payment(&id).map(|payment| payment.status)).await;
            status.filter(|status| matches!(status, Status::Failed | Status::Held))
        })
        .await;
        (ended == Status::Failed).then_some(())
    })
    .await;
    // What there is collateral for still works.
    let id = alice.pay(&to, ETH, eth(500)).await;
    alice.when("paid", move |wallet| wallet.payment(&id).is_some_and(|paid| paid.status == Status::Completed)).await;

    // It says so from the start.
    hub.stop();
    hub.ended().await.unwrap();
    let hub = support::start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    assert_eq!(ready(&url).await.1["reasons"], json!(["gas low"]));
    set_balance(10_000_000_000_000_000_000).await;
    until("it is ready", || async {
        chain.mine(1).await;
        (ready(&url).await.0 == 200).then_some(())
    })
    .await;
    alice.end().await;
    bob.end().await;
    hub.stop();
    hub.ended().await.unwrap();
}
