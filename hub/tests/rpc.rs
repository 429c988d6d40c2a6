//! What bad input gets: a clear error with a stable code, no change, and a connection that survives where it can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use farthing_hub::chain::{Orders, Rpc};
use farthing_hub::core::{Parts, Unfunded};
use farthing_hub::health::Health;
use farthing_hub::rpc::{self, App};
use farthing_hub::store::{Sqlite, Store};
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::hub::Hub;
use farthing_protocol::message::Message;
use farthing_protocol::proof::Proof;
use farthing_protocol::{Amount, ETH, Sides};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::client::{Socket, attach, call, socket_call};
use support::{Chain, ClientConfig, eth, start, within};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite;

struct Stage {
    folder: tempfile::TempDir,
    chain: Chain,
    hub: farthing_hub::node::Node,
    url: String,
}

async fn stage(more: &str) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let hub = start(&chain, &folder.path().join("hub.sqlite"), more).await;
    let url = format!("http://{}", hub.address);
    Stage { folder, chain, hub, url }
}

async fn registered(stage: &Stage, account: usize) -> ClientConfig {
    let config = ClientConfig::new(&stage.chain, account, &stage.url, stage.folder.path()).await;
    let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
    call(&stage.url, "farthing_register", params).await.unwrap();
    config
}

async fn connect(url: &str) -> Result<Socket, tungstenite::Error> {
    Ok(tokio_tungstenite::connect_async(url.replacen("http", "ws", 1)).await?.0)
}

async fn post(url: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let response = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// The next text frame, as JSON.
async fn next(socket: &mut Socket) -> Value {
    loop {
        match within("a frame comes", socket.next()).await.unwrap().unwrap() {
            tungstenite::Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            tungstenite::Message::Ping(_) => {}
            other => panic!("no text, but {other:?}"),
        }
    }
}

async fn close_code(socket: &mut Socket) -> (u16, String) {
    loop {
        match within("the socket is closed", socket.next()).await {
            Some(Ok(tungstenite::Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

async fn say(socket: &mut Socket, text: impl Into<String>) {
    socket.send(tungstenite::Message::Text(text.into().into())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_over_http_get_their_codes() {
    let stage = stage("").await;
    let url = &stage.url;
    for (body, code, stable) in [
        ("nonsense", -32_700, "bad-encoding"),
        ("{\"jsonrpc\":\"2.0\"", -32_700, "bad-encoding"),
        ("[]", -32_600, "bad-encoding"),
        ("{}", -32_600, "bad-encoding"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"farthing_steal"}"#, -32_601, "unsupported"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"farthing_config","params":[1]}"#, -32_602, "invalid-argument"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"farthing_config","params":{"x":1}}"#, -32_602, "invalid-argument"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"farthing_lookup","params":{"address":"0x12"}}"#,
            -32_602,
            "invalid-argument",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"farthing_lookup","params":{"address":5}}"#, -32_602, "invalid-argument"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"farthing_lookup","params":{"address":"0x00000000000000000000000000000000000000aa"}}"#,
            -32_000,
            "unknown-payee",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"farthing_messages","params":{}}"#, -32_000, "unsupported"),
    ] {
        let (status, answer) = post(url, body).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["data"]["code"]),
            (&json!(code), &json!(stable)),
            "{body}"
        );
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(post(url, vec![0xff, 0xfe]).await.1["error"]["code"], -32_700);
    let deep = "[".repeat(60_000);
    assert_eq!(post(url, deep).await.1["error"]["code"], -32_700);
    let (status, answer) = post(url, "x".repeat(65_537)).await;
    assert_eq!((status, &answer["error"]["data"]["code"]), (413, &json!("message-too-large")));

    let batch =
        r#"[{"jsonrpc":"2.0","id":"a","method":"farthing_config"},{"jsonrpc":"2.0","method":"farthing_config"},7]"#;
    let (_, answers) = post(url, batch).await;
    assert_eq!(answers.as_array().unwrap().len(), 2, "a notification is not answered");
    assert_eq!(answers[0]["result"]["chainId"], 31_337);
    assert_eq!(answers[1]["error"]["code"], -32_600);
    assert_eq!(post(url, r#"{"jsonrpc":"2.0","method":"farthing_config"}"#).await.0, 204);
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_describes_itself_and_says_how_it_is() {
    let stage = stage("").await;
    let url = &stage.url;
    let document = call(url, "rpc.discover", json!({})).await.unwrap();
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        if let Err(error) = call(url, name, json!({})).await {
            assert_ne!(error["code"], -32_601, "{name} is described but not served");
        }
    }
    let get = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap();
    assert_eq!(get("/health").await.status(), 200);
    let served: Value = serde_json::from_str(&get("/openrpc.json").await.text().await.unwrap()).unwrap();
    assert_eq!(served, document);
    assert_eq!(get("/").await.status(), 426);
    let ready = get("/ready").await;
    assert_eq!(ready.status(), 200);
    let metrics = get("/metrics").await;
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(metrics.text().await.unwrap().contains("\nfarthing_ready 1\n"));
    let from_a_page =
        reqwest::Client::new().get(format!("{url}/health")).header("origin", "https://any.example").send();
    assert_eq!(from_a_page.await.unwrap().headers()["access-control-allow-origin"], "*");
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}

/// A hub that does not watch the chain is one that has not seen it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_before_the_chain_was_seen() {
    let (folder, chain) = (tempfile::tempdir().unwrap(), Chain::start().await);
    let database = folder.path().join("hub.sqlite");
    let config = support::config(&chain, &database, "");
    let store = Arc::new(Sqlite::open(&database).await.unwrap());
    let health = Arc::new(Health::new(config.poll_interval, config.max_chain_age));
    let (registered, _registered) = mpsc::unbounded_channel();
    let unfunded = Unfunded { age: 3_600, most: 10, most_per_origin: 10 };
    let (store_of_core, health_of_core) = (store.clone(), health.clone());
    let parts = Parts {
        store: store_of_core,
        health: health_of_core,
        orders: Orders::default(),
        registered,
        max_channels: 10,
        unfunded,
        faults: 16,
    };
    let (core, driver) = farthing_hub::core::start(Hub::new(config.hub(), config.keys.signer.clone()), parts);
    let driver = tokio::spawn(driver);
    let (_stop, stopping) = watch::channel(false);
    let asked = Rpc::of(config.rpc_url.0.clone());
    let app = rpc::app(App::new(&config, &asked, core.clone(), store, health.clone(), None, stopping).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(axum::serve(listener, service).into_future());

    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await;
    let params = json!({ "channel": client.def, "publicKey": client.key.public_key() });
    call(&url, "farthing_register", params).await.unwrap();
    let mut attaching = Box::pin(attach(&client, &url));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut attaching).await;
    assert!(early.is_err(), "a client got in");
    // A look that was under way when the channel was registered has not read it.
    core.chain(Vec::new(), Head::default()).await.unwrap();
    health.looked(Head::default());
    let early = tokio::time::timeout(Duration::from_millis(100), &mut attaching).await;
    assert!(early.is_err(), "a client got in");
    let nothing = ChainFact::Asset {
        asset: ETH,
        deposits: Sides::default(),
        withdrawn: Sides::default(),
        status: AssetStatus::Open,
    };
    core.chain(vec![(Some(client.id()), nothing)], Head::default()).await.unwrap();
    health.looked(Head::default());
    within("the client gets in", attaching).await.unwrap();
    serving.abort();
    driver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_terms_are_refused() {
    let stage = stage("").await;
    let config = ClientConfig::new(&stage.chain, 1, &stage.url, stage.folder.path()).await;
    let key = config.key.public_key();
    let refused = async |change: &dyn Fn(&mut farthing_protocol::ChannelDef)| {
        let mut def = config.def;
        change(&mut def);
        let error =
            call(&stage.url, "farthing_register", json!({ "channel": def, "publicKey": key })).await.unwrap_err();
        error["data"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(&|def| def.b.owner = def.a.owner).await, "bad-terms");
    assert_eq!(refused(&|def| def.challenge_period = 1).await, "bad-terms");
    assert_eq!(refused(&|def| def.a.signer = def.b.signer).await, "bad-terms");
    assert_eq!(refused(&|def| def.a.signer = def.a.owner).await, "bad-terms");
    let params = json!({ "channel": config.def, "publicKey": key, "binding": format!("0x{}", "11".repeat(65)) });
    assert_eq!(call(&stage.url, "farthing_register", params).await.unwrap_err()["data"]["code"], "bad-signature");
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_survives_bad_messages_and_ends_with_an_oversized_one() {
    let stage = stage("").await;
    let config = registered(&stage, 1).await;
    let mut socket = connect(&stage.url).await.unwrap();
    say(&mut socket, "nonsense").await;
    assert_eq!(next(&mut socket).await["error"]["code"], -32_700);
    say(&mut socket, "[]").await;
    assert_eq!(next(&mut socket).await["error"]["code"], -32_600);
    socket.send(tungstenite::Message::Binary(vec![1].into())).await.unwrap();
    assert_eq!(next(&mut socket).await["error"]["code"], -32_600);
    let frame = json!({ "jsonrpc": "2.0", "method": "farthing_messages", "params": { "channelId": config.id(), "messages": [] } });
    say(&mut socket, frame.to_string()).await;
    assert_eq!(next(&mut socket).await["error"]["data"]["code"], "not-authenticated");
    assert!(socket_call(&mut socket, "farthing_config", json!({}), drop).await.is_ok(), "it survived");

    say(&mut socket, "x".repeat(65_537)).await;
    assert_eq!(next(&mut socket).await["error"]["data"]["code"], "message-too-large");
    assert_eq!(close_code(&mut socket).await.0, 1009);

    // Far too large: it is not even read.
    let mut socket = connect(&stage.url).await.unwrap();
    let _ = socket.send(tungstenite::Message::Text("x".repeat(4 << 20).into())).await;
    within("it is closed", async { while let Some(Ok(_)) = socket.next().await {} }).await;
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_good_once_and_for_its_own_key_and_channel() {
    let stage = stage("").await;
    let (config, other) = (registered(&stage, 1).await, registered(&stage, 2).await);
    let mut socket = connect(&stage.url).await.unwrap();
    let sign = |challenge: &Value, config: &ClientConfig| {
        let challenge = serde_json::from_value(challenge.clone()).unwrap();
        let session = farthing_protocol::abi::Session { channelId: config.id().0, challenge };
        json!({ "channelId": config.id(), "signature": config.key.sign(config.domain.digest(&session)) })
    };
    let of = |config: &ClientConfig| json!({ "channelId": config.id() });

    let first = socket_call(&mut socket, "farthing_challenge", of(&config), drop).await.unwrap()["challenge"].clone();
    let mut forged = sign(&first, &other);
    forged["channelId"] = json!(config.id());
    let error = socket_call(&mut socket, "farthing_attach", forged, drop).await.unwrap_err();
    assert_eq!(error["data"]["code"], "bad-signature");
    let error = socket_call(&mut socket, "farthing_attach", sign(&first, &config), drop).await.unwrap_err();
    assert_eq!(error["data"]["code"], "not-authenticated", "the challenge is used up");

    let second = socket_call(&mut socket, "farthing_challenge", of(&config), drop).await.unwrap()["challenge"].clone();
    assert_ne!(first, second);
    let error = socket_call(&mut socket, "farthing_attach", sign(&second, &other), drop).await.unwrap_err();
    assert_eq!(error["data"]["code"], "not-authenticated", "it was for another channel");

    // The newest connection wins.
    let mut old = attach(&config, &stage.url).await.unwrap();
    let mut new = attach(&config, &stage.url).await.unwrap();
    assert_eq!(close_code(&mut old).await.0, 4001);
    assert!(socket_call(&mut new, "farthing_config", json!({}), drop).await.is_ok());
    stage.hub.stop();
    assert_eq!(close_code(&mut new).await.0, 1001);
    stage.hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_update_is_refused_and_changes_nothing() {
    let stage = stage("").await;
    let config = registered(&stage, 1).await;
    stage.chain.deposit(&config.def, ETH, eth(5)).await;
    stage.chain.mine(3).await;
    support::until("the deposit is final", || async {
        let status = call(&stage.url, "farthing_channel", json!({ "channelId": config.id() })).await.unwrap();
        status["assets"].as_array().unwrap().iter().any(|asset| asset["deposits"]["a"] != "0").then_some(())
    })
    .await;
    let mut socket = attach(&config, &stage.url).await.unwrap();
    let proof = Proof {
        nonce: 1,
        transferred: Amount::new(1),
        locked: Amount::ZERO,
        locks_root: farthing_protocol::tree::LockTree::default().root(),
        seen: 0,
    };
    let op = json!({ "type": "transfer", "amount": "1", "memo": "" });
    let update = farthing_protocol::lane::Update {
        base: 0,
        ops: vec![farthing_protocol::lane::Op::Transfer { amount: Amount::new(1), memo: String::new() }],
        proof,
        signature: config.key.sign(alloy_primitives::B256::repeat_byte(1)),
    };
    let frame = |messages: Value| {
        json!({ "jsonrpc": "2.0", "method": "farthing_messages", "params": { "channelId": config.id(), "messages": messages } }).to_string()
    };
    let forged = frame(json!([Message::Update { asset: ETH, update }]));
    say(&mut socket, forged.clone()).await;
    let refused = loop {
        let frame = next(&mut socket).await;
        let messages = frame["params"]["messages"].as_array().unwrap().clone();
        if let Some(refused) = messages.into_iter().find(|message| message["type"] == "refused") {
            break refused;
        }
    };
    assert_eq!(refused["code"], "bad-signature");

    for bad in [
        frame(json!([{ "type": "nonsense" }])),
        frame(json!([{ "type": "held", "asset": ETH, "slot": 70_000, "placed": 1 }])),
        frame(json!([op])),
        forged.replace("\"1\"", "1"),
        forged.replace("\"1\"", "\"-1\""),
        forged.replace("\"1\"", "\"340282366920938463463374607431768211456\""),
    ] {
        say(&mut socket, bad.clone()).await;
        let answer = loop {
            let frame = next(&mut socket).await;
            if frame.get("error").is_some() {
                break frame;
            }
        };
        assert_eq!(answer["error"]["data"]["code"], "bad-encoding", "{bad}");
    }
    assert!(socket_call(&mut socket, "farthing_config", json!({}), drop).await.is_ok(), "it survived");
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_limited_and_the_connection_survives_it() {
    let stage = stage("[limits]\nrequests_per_second = 50\nburst = 50\nconnections_per_ip = 2").await;
    let mut socket = connect(&stage.url).await.unwrap();
    for number in 0..300 {
        say(&mut socket, json!({ "jsonrpc": "2.0", "id": number, "method": "farthing_config" }).to_string()).await;
    }
    let mut limited = 0;
    for number in 0..300 {
        let answer = next(&mut socket).await;
        assert_eq!(answer["id"], number);
        limited += usize::from(answer["error"]["data"]["code"] == "rate-limited");
    }
    assert!((100..=250).contains(&limited), "{limited} of 300");
    support::until("it survived", || async { call(&stage.url, "farthing_config", json!({})).await.ok() }).await;

    let _second = connect(&stage.url).await.unwrap();
    let Err(tungstenite::Error::Http(refusal)) = connect(&stage.url).await else { panic!("a third connection") };
    assert_eq!(refusal.status(), 429);
    drop(socket);
    support::until("the place is free again", || async { connect(&stage.url).await.ok() }).await;
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unfunded_channels_are_few_and_the_longest_unused_makes_room() {
    let stage = stage("limits = { unfunded_channels = 1 }").await;
    let funded = registered(&stage, 1).await;
    stage.chain.deposit(&funded.def, ETH, eth(5)).await;
    stage.chain.mine(3).await;
    let unfunded = within("the deposit makes room", async {
        loop {
            let config = ClientConfig::new(&stage.chain, 2, &stage.url, stage.folder.path()).await;
            let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
            match call(&stage.url, "farthing_register", params).await {
                Ok(_) => break config,
                Err(error) => assert_eq!(error["data"]["code"], "limit-exceeded"),
            }
        }
    })
    .await;
    let mut socket = attach(&unfunded, &stage.url).await.unwrap();
    let backup = json!({ "channelId": unfunded.id(), "backup": "0x1234" });
    socket_call(&mut socket, "farthing_backupPut", backup, |_| {}).await.unwrap();
    let another = ClientConfig::new(&stage.chain, 3, &stage.url, stage.folder.path()).await;
    let params = json!({ "channel": another.def, "publicKey": another.key.public_key() });
    support::until("it makes room, though it is connected", || async {
        stage.chain.mine(1).await;
        call(&stage.url, "farthing_register", params.clone()).await.ok()
    })
    .await;
    assert_eq!(close_code(&mut socket).await.0, 1013);
    let status =
        async |config: &ClientConfig| call(&stage.url, "farthing_channel", json!({ "channelId": config.id() })).await;
    assert_eq!(status(&unfunded).await.unwrap_err()["data"]["code"], "unknown-channel");
    status(&funded).await.unwrap();
    status(&another).await.unwrap();
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
    let store = Sqlite::open(&stage.folder.path().join("hub.sqlite")).await.unwrap();
    let entries = store.load("").await.unwrap();
    let kept = |config: &ClientConfig| entries.iter().filter(|(key, _)| key.contains(&config.id().to_string())).count();
    assert_eq!(kept(&unfunded), 0, "nor is its backup kept");
    assert!(kept(&funded) > 1 && kept(&another) == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channels_lanes_are_shown_to_its_own_client_only() {
    let stage = stage("").await;
    let (config, other) = (registered(&stage, 1).await, registered(&stage, 2).await);
    let lane = |config: &ClientConfig, payer: &str| json!({ "channelId": config.id(), "asset": ETH, "payer": payer });
    let error = call(&stage.url, "farthing_lane", lane(&config, "A")).await.unwrap_err();
    assert_eq!(error["data"]["code"], "unsupported", "not without a connection");
    let mut socket = attach(&config, &stage.url).await.unwrap();
    let error = socket_call(&mut socket, "farthing_lane", lane(&other, "A"), drop).await.unwrap_err();
    assert_eq!(error["data"]["code"], "not-authenticated");
    let error = socket_call(&mut socket, "farthing_lane", lane(&config, "C"), drop).await.unwrap_err();
    assert_eq!(error["code"], -32_602, "there are two sides");
    for payer in ["A", "B"] {
        let page = socket_call(&mut socket, "farthing_lane", lane(&config, payer), drop).await.unwrap();
        assert_eq!(page, json!({ "locks": [] }), "nothing was signed yet");
    }
    stage.hub.stop();
    stage.hub.ended().await.unwrap();
}
