//! The sender under a flood: many small pieces of evidence hide no large one, and repeated orders cost nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use farthing_hub::chain::Outcome;
use farthing_hub::chain::{Order, Placed};
use farthing_hub::store::{Status, Store};
use farthing_protocol::chain::Purpose;
use farthing_protocol::{Amount, ETH};
use std::time::Duration;
use support::proxy::Proxy;
use support::sending::{Sending, number, spending};
use support::tower::units;
use support::{Chain, eth, until};

const SMALL: u32 = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_many_locks_goes_together_the_largest_first() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let (proxy, url) = Proxy::start(&chain.url, Duration::from_millis(25)).await;
    let sending = Sending::through(&chain, &url, folder.path(), spending()).await;
    sending.automine(false).await;
    let mut keys = Vec::new();
    for piece in 0..SMALL + 3 {
        let amount = if piece < SMALL { Amount::new(100_000_000_000_000) } else { eth(280) };
        let (order, key) = sending.evidence(piece, amount).await;
        assert_eq!(sending.orders.place(order), Placed::Queued);
        keys.push(key);
    }
    sending.look().await;
    for piece in 0..SMALL + 3 {
        sending.is_sent(&format!("evidence/{piece}")).await;
    }
    let pool = until("all are in the pool", || async {
        let (pool, signed) = (sending.pool().await, sending.store.open_transactions().await.unwrap());
        (pool.len() == signed.len()).then_some(pool)
    })
    .await;
    let first = &pool[0];
    assert_eq!(number(&first["nonce"]), 0);
    for piece in SMALL..SMALL + 3 {
        let preimage = farthing_protocol::condition::sha256(&piece.to_be_bytes());
        let input = first["input"].as_str().unwrap();
        assert!(input.contains(&alloy_primitives::hex::encode(preimage)), "the large ones go first");
    }
    assert!(pool.len() <= 16, "{} transactions", pool.len());
    assert!(pool.iter().all(|sent| number(&sent["gas"]) <= 7_500_000), "a part of a block each");
    // About 53 million gas: a few blocks. (Anvil may lose what comes after a replaced transaction; it is sent again.)
    let start = chain.rpc.latest().await.unwrap().number;
    for key in keys {
        sending.mined("it is on chain", || async { (units(&chain, key.0).await > 0).then_some(()) }).await;
    }
    assert!(chain.rpc.latest().await.unwrap().number <= start + 20);
    assert_eq!(sending.ends("evidence/0").await, Outcome::Mined);
    assert_eq!(sending.ends(&format!("evidence/{SMALL}")).await, Outcome::Mined);
    assert!(proxy.total() < 300, "{} questions for {SMALL} locks", proxy.total());
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_sent_once_through_a_crash_and_by_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let (proxy, url) = Proxy::start(&chain.url, Duration::ZERO).await;
    let sending = Sending::through(&chain, &url, folder.path(), spending()).await;
    sending.automine(false).await;
    // Signed and stored, and the crash comes before the node has it.
    proxy.refuse("eth_sendRawTransaction", Some("try again later"));
    let (first, key) = sending.evidence(1, eth(1)).await;
    let (second, other) = sending.evidence(2, eth(2)).await;
    sending.orders.place(first.clone());
    sending.orders.place(second);
    sending.look().await;
    sending.is_sent("evidence/1").await;
    let stored = sending.store.open_transactions().await.unwrap();
    assert_eq!(stored.len(), 1, "both in one");
    sending.kill().await;

    let sending = Sending::start(&chain, folder.path(), spending()).await;
    sending.look().await;
    let pool = until("it is back", || async { sending.pool().await.pop() }).await;
    assert_eq!(pool["hash"], serde_json::json!(stored[0].attempts[0].hash));
    assert_eq!(sending.orders.place(first), Placed::Known, "it is under way");
    assert_eq!(sending.ends("evidence/1").await, Outcome::Mined);
    assert_eq!(sending.ends("evidence/2").await, Outcome::Mined);
    assert!(units(&chain, key.0).await > 0 && units(&chain, other.0).await > 0);
    assert_eq!(chain.rpc.nonce(sending.owner()).await.unwrap(), 1);
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_repeated_without_end_keep_nothing_from_being_sent() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), spending()).await;
    let serve = |id: String| {
        let order = sending.fund(&id, 9, ETH, eth(1));
        Order { purpose: Purpose::Serve { asset: ETH, amount: eth(1) }, ..order }
    };
    // One id again and again, and many ids of one channel, as fast as can be, for as long as it takes.
    let (orders, ids) =
        (sending.orders.clone(), (0..100).map(|number| serve(format!("s{number}"))).collect::<Vec<_>>());
    let flood = tokio::spawn(async move {
        loop {
            for order in &ids {
                orders.place(order.clone());
            }
            tokio::task::yield_now().await;
        }
    });
    sending.orders.place(sending.fund("honest", 1, ETH, eth(1_000)));
    sending.look().await;
    assert_eq!(sending.ends("honest").await, Outcome::Mined);
    assert!(sending.orders.pending() < 10, "{} are pending", sending.orders.pending());
    flood.abort();
    assert_ne!(sending.status("honest").await, Some(Status::Queued));
    sending.kill().await;
}
