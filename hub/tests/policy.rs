//! What the hub's machine allows, with the real node, a chain and clients who ask for too much.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::{Address, Bytes};
use farthing_hub::clock;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::message::Message;
use farthing_protocol::wallet::Status;
use farthing_protocol::{Amount, ETH, Side};
use futures_util::{SinkExt, StreamExt};
use support::client::{attach, payee};
use support::{Chain, ClientConfig, eth, start, until};
use tokio_tungstenite::tungstenite;

/// The hub's own account pays for no withdrawal that is not worth it, and its client sends it instead.
#[tokio::test(flavor = "multi_thread")]
async fn tiny_withdrawals_are_the_client_s_to_send() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let toml = support::hub::toml(&chain, &folder.path().join("hub.sqlite"), "");
    let toml = toml.replace("symbol = \"ETH\"", "symbol = \"ETH\"\nmin_relayed_withdrawal = \"1000000\"");
    let hub = support::hub::start_on(&toml, &folder.path().join("hub.sqlite")).await;
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    chain.deposit(&client.config.def, ETH, Amount::new(1_000)).await;
    // For the hub, too, which declines to sign what it does not see the money for.
    until("the deposit is final", || async {
        chain.mine(1).await;
        let (deposited, counted) =
            client.run(|wallet| (wallet.balance(ETH).deposited, wallet.channel().peer_counts(ETH))).await;
        (counted && deposited == Amount::new(1_000)).then_some(())
    })
    .await;
    assert_eq!(chain.state(client.id.0, ETH).await.depositB, 0, "a stake of nothing brings no collateral");
    let before = chain.balance(chain.accounts[0], ETH).await;
    let (owner, deadline) = (client.config.def.a.owner, clock::now() + 3_000);
    let withdrawal = client
        .run(move |wallet| wallet.withdraw(ETH, Amount::new(1), owner, Bytes::new(), deadline, true))
        .await
        .unwrap();
    client.run(move |wallet| wallet.withdraw_ourselves(&withdrawal)).await.unwrap();
    client
        .when("signed", move |wallet| {
            let book = wallet.channel().state().assets.get(&ETH).unwrap();
            book.withdrawals.iter().any(|signed| signed.withdrawal == withdrawal && signed.signatures.b.is_some())
        })
        .await;
    until("the client is to send it", || async {
        let calls = client.calls.lock().unwrap();
        calls.iter().any(|call| matches!(call, ChainCall::Withdraw { .. })).then_some(())
    })
    .await;
    assert_eq!(chain.balance(chain.accounts[0], ETH).await, before, "the hub paid for nothing");
    hub.stop();
    hub.ended().await.unwrap();
}

/// The same proposal a thousand times is one transaction, and others are served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_proposals_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    // It is the machine that is tried here, not the connection, which would be closed after a few forged signatures.
    let hub = start(&chain, &folder.path().join("hub.sqlite"), "[limits]\nfaults = 1000000\n").await;
    let url = format!("http://{}", hub.address);
    let foe = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    chain.deposit(&foe.config.def, ETH, eth(100)).await;
    until("the deposit is final", || async {
        chain.mine(1).await;
        (foe.run(|wallet| wallet.balance(ETH).deposited).await == eth(100)).then_some(())
    })
    .await;
    let config = foe.config.clone();
    foe.end().await;
    let withdrawal = farthing_protocol::message::Withdrawal {
        asset: ETH,
        side: Side::A,
        total: Amount::new(1),
        // The owner never signed for this recipient.
        recipient: Address::repeat_byte(0xee),
        deadline: clock::now() + 3_000,
    };
    let signature = config.key.sign(config.domain.digest(&withdrawal.to_abi(config.id())));
    let proposal =
        |owner_signature: Bytes| Message::WithdrawProposal { withdrawal, signature, owner_signature, submit: true };
    let (mut sink, mut stream) = attach(&config, &url).await.unwrap().split();
    let mut codes = std::collections::BTreeSet::new();
    for owner_signature in [Bytes::new(), vec![1; 65].into()] {
        let many = vec![proposal(owner_signature); 100];
        for frame in farthing_protocol::api::frames::notifications(config.id(), &many).unwrap() {
            sink.send(tungstenite::Message::Text(frame.into())).await.unwrap();
        }
    }
    while codes.len() < 2 {
        let text = match stream.next().await {
            Some(Ok(tungstenite::Message::Text(text))) => text,
            // The hub's first comes at once, and may overtake its answers.
            Some(Ok(tungstenite::Message::Ping(_))) => continue,
            end => panic!("hung up on: {end:?}"),
        };
        assert!(!text.contains("\"withdrawSigned\""), "{text}");
        codes.extend(["bad-signature", "limit-exceeded"].into_iter().filter(|code| text.contains(code)));
    }
    // Somebody else's collateral is put in all the same.
    let other = ClientConfig::new(&chain, 2, &url, folder.path()).await.start(&url).await;
    chain.deposit(&other.config.def, ETH, eth(5_000)).await;
    until("the hub's collateral", || async {
        chain.mine(1).await;
        (chain.state(other.id.0, ETH).await.depositB > 0).then_some(())
    })
    .await;
    hub.stop();
    hub.ended().await.unwrap();
}

/// A merchant that takes its money out is paid again, for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_that_withdraws_is_paid_again() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let toml = support::hub::toml(&chain, &folder.path().join("hub.sqlite"), "");
    let toml = toml.replace("max_collateral = \"500000000000000000000\"", "max_collateral = \"2000000000000000000\"");
    let hub = support::hub::start_on(&toml, &folder.path().join("hub.sqlite")).await;
    let url = format!("http://{}", hub.address);
    let alice = ClientConfig::new(&chain, 1, &url, folder.path()).await.start(&url).await;
    let bob = ClientConfig::new(&chain, 2, &url, folder.path()).await.start(&url).await;
    chain.deposit(&alice.config.def, ETH, eth(10_000)).await;
    chain.deposit(&bob.config.def, ETH, eth(1_000)).await;
    support::fund(&chain, &[&alice, &bob]).await;
    let to = payee(&url, bob.config.key.address()).await;
    let owner = bob.config.def.a.owner;
    for _ in 0..3 {
        let id = alice.pay(&to, ETH, eth(1_900)).await;
        until("paid", || async {
            chain.mine(1).await;
            let told = alice.told.lock().unwrap().get(&id).map(|payment| (payment.status, payment.code.clone()));
            assert!(!matches!(told, Some((Status::Failed | Status::Returning, _))), "{told:?}");
            matches!(told, Some((Status::Completed, _))).then_some(())
        })
        .await;
        let all = bob.run(|wallet| wallet.balance(ETH).available).await;
        let deadline = clock::now() + 3_000;
        let before = chain.state(bob.id.0, ETH).await.withdrawnA;
        bob.run(move |wallet| wallet.withdraw(ETH, all, owner, Bytes::new(), deadline, true)).await.unwrap();
        until("withdrawn", || async {
            chain.mine(1).await;
            let withdrawn = bob.run(|wallet| wallet.balance(ETH).withdrawn).await;
            (withdrawn.units() > before).then_some(())
        })
        .await;
    }
    hub.stop();
    hub.ended().await.unwrap();
}
