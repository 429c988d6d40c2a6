//! Clients that hold a key and break the protocol with it.
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
use farthing_protocol::api::frames::notifications;
use farthing_protocol::lane::{Lane, Op, Update};
use farthing_protocol::message::{LaneSync, Message, Withdrawal};
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Amount, ETH, Side};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::client::{Socket, attach, call, socket_call};
use support::{Chain, ClientConfig, start, until, within};
use tokio_tungstenite::tungstenite;

async fn stage(limits: &str) -> (tempfile::TempDir, Chain, Node, String) {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let hub = start(&chain, &folder.path().join("hub.sqlite"), &format!("[limits]\n{limits}")).await;
    let url = format!("http://{}", hub.address);
    (folder, chain, hub, url)
}

async fn registered(chain: &Chain, url: &str, folder: &tempfile::TempDir, account: usize) -> ClientConfig {
    let config = ClientConfig::new(chain, account, url, folder.path()).await;
    let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
    call(url, "farthing_register", params).await.unwrap();
    config
}

async fn say(socket: &mut Socket, config: &ClientConfig, messages: &[Message]) {
    for frame in notifications(config.id(), messages).unwrap() {
        // It may have been closed by what was said before.
        let _ = socket.send(tungstenite::Message::Text(frame.into())).await;
    }
}

/// All that comes until the end, and the code of the end.
async fn rest(socket: &mut Socket) -> (Vec<Value>, u16) {
    let mut said = Vec::new();
    let code = within("the socket is closed", async {
        loop {
            match socket.next().await {
                Some(Ok(tungstenite::Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(tungstenite::Message::Text(text))) => said.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                end => panic!("no close frame: {end:?}"),
            }
        }
    });
    let code = code.await;
    (said, code)
}

/// A transfer of one unit, signed by a key.
fn update(config: &ClientConfig, key: &SecretKey) -> Message {
    let mut lane = Lane::default();
    let ops = vec![Op::Transfer { amount: Amount::new(1), memo: String::new() }];
    lane.apply(1, &ops).unwrap();
    let proof = lane.statement(1, 0);
    let lane = LaneId { asset: ETH, payer: Side::A };
    let SignedProof { proof, signature } = SignedProof::sign(proof, &config.domain, config.id(), lane, key);
    Message::Update { asset: ETH, update: Update { base: 0, ops, proof, signature } }
}

/// What the hub refused, by code.
fn refused(frames: &[Value]) -> Vec<&str> {
    let messages = frames.iter().filter_map(|frame| frame["params"]["messages"].as_array()).flatten();
    messages.filter(|message| message["type"] == "refused").map(|message| message["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_signed_never_reaches_the_machine_and_its_sender_waits() {
    let (folder, chain, hub, url) = stage("faults = 3\nfault_wait = 3600").await;
    let config = registered(&chain, &url, &folder, 1).await;
    let mut socket = attach(&config, &url).await.unwrap();
    let stranger = SecretKey::derive("stranger", b"1").unwrap();
    let forged = vec![update(&config, &stranger); 90];
    for _ in 0..3 {
        say(&mut socket, &config, &forged).await;
    }
    let (said, code) = rest(&mut socket).await;
    assert_eq!(code, 1008);
    let codes = refused(&said);
    // The machine would say that there is no deposit, and would do so ninety times.
    assert!(!codes.is_empty() && codes.len() <= 3 && codes.iter().all(|code| *code == "bad-signature"), "{codes:?}");
    let error = attach(&config, &url).await.unwrap_err();
    assert_eq!(error["data"]["code"], "rate-limited");

    // Others behind the same address are not to blame, up to a point.
    let other = registered(&chain, &url, &folder, 2).await;
    let mut socket = attach(&other, &url).await.unwrap();
    assert!(socket_call(&mut socket, "farthing_config", json!({}), drop).await.is_ok());
    for account in 3..6 {
        let config = registered(&chain, &url, &folder, account).await;
        let mut socket = attach(&config, &url).await.unwrap();
        for _ in 0..3 {
            say(&mut socket, &config, &forged).await;
        }
        assert_eq!(rest(&mut socket).await.1, 1008);
    }
    // Calls without a connection can't break the protocol, and others may share the address.
    assert!(call(&url, "farthing_config", json!({})).await.is_ok());
    let Err(tungstenite::Error::Http(refusal)) = tokio_tungstenite::connect_async(url.replacen("http", "ws", 1)).await
    else {
        panic!("the address is let in")
    };
    assert_eq!(refusal.status(), 429);
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_signature_is_looked_at() {
    let (folder, chain, hub, url) = stage("faults = 1\nfault_wait = 1").await;
    let stranger = SecretKey::derive("stranger", b"1").unwrap();
    let config = registered(&chain, &url, &folder, 1).await;
    let Message::Update { update: signed, .. } = update(&config, &stranger) else { unreachable!() };
    let signed = SignedProof { proof: signed.proof, signature: signed.signature };
    let lane = |signed, accepted| {
        let entry = LaneSync { asset: ETH, signed, accepted, acknowledgement: None };
        Message::Sync { lanes: vec![entry] }
    };
    let withdrawal = Withdrawal {
        asset: ETH,
        side: Side::A,
        total: Amount::new(1),
        recipient: config.def.a.owner,
        deadline: farthing_hub::clock::now() + 600,
    };
    let signature = stranger.sign(config.domain.digest(&withdrawal.to_abi(config.id())));
    let forged = [
        update(&config, &stranger),
        lane(Some(signed), None),
        lane(None, Some(signed)),
        Message::WithdrawProposal { withdrawal, signature, owner_signature: Default::default(), submit: false },
        Message::WithdrawSigned { withdrawal, signature },
    ];
    for message in forged {
        let mut socket = until("the wait is over", || async { attach(&config, &url).await.ok() }).await;
        say(&mut socket, &config, std::slice::from_ref(&message)).await;
        assert_eq!(rest(&mut socket).await.1, 1008, "{message:?}");
    }
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_costs_as_much_as_its_messages_before_they_are_read() {
    let (folder, chain, hub, url) = stage("requests_per_second = 1\nburst = 250").await;
    let config = registered(&chain, &url, &folder, 1).await;
    let mut socket = attach(&config, &url).await.unwrap();
    // Not one of them can be decoded.
    let messages = vec![json!({ "type": "nonsense" }); 1_000];
    let params = json!({ "channelId": config.id(), "messages": messages });
    let frame = json!({ "jsonrpc": "2.0", "method": "farthing_messages", "params": params });
    socket.send(tungstenite::Message::Text(frame.to_string().into())).await.unwrap();
    // What the connections of an address spend they spend together: a thousand, of which these take 300 at most.
    let mut limited = false;
    for _ in 0..300 {
        let mut other = tokio_tungstenite::connect_async(url.replacen("http", "ws", 1)).await.unwrap().0;
        let answer = within("an answer", socket_call(&mut other, "farthing_config", json!({}), drop)).await;
        limited = answer.is_err_and(|error| error["data"]["code"] == "rate-limited");
        let _ = other.close(None).await;
        if limited {
            break;
        }
    }
    assert!(limited, "they cost nothing");
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_talks_nonsense_is_closed() {
    let (folder, chain, hub, url) = stage("faults = 5").await;
    let config = registered(&chain, &url, &folder, 1).await;
    let mut socket = attach(&config, &url).await.unwrap();
    for text in ["nonsense", "{}", r#"{"jsonrpc":"2.0","method":"farthing_messages"}"#] {
        socket.send(tungstenite::Message::Text(text.into())).await.unwrap();
    }
    assert!(socket_call(&mut socket, "farthing_config", json!({}), drop).await.is_ok());
    let frame = json!({ "jsonrpc": "2.0", "method": "farthing_messages",
        "params": { "channelId": config.id(), "messages": [{ "type": "nonsense" }] } });
    for _ in 0..2 {
        let _ = socket.send(tungstenite::Message::Text(frame.to_string().into())).await;
    }
    assert_eq!(rest(&mut socket).await.1, 1008);
    hub.stop();
    hub.ended().await.unwrap();
}
