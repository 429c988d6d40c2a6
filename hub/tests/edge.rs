//! The edge of the hub under attack: strangers who connect, ask, do not read, and hold places.
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
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{ETH, abi};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use support::client::{Socket, attach, call, socket_call};
use support::{Chain, ClientConfig, eth, start, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite;

struct Stage {
    folder: tempfile::TempDir,
    chain: Chain,
    hub: Node,
    url: String,
}

impl Stage {
    async fn new(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = Chain::start().await;
        let hub = start(&chain, &folder.path().join("hub.sqlite"), &format!("[limits]\n{limits}")).await;
        let url = format!("http://{}", hub.address);
        Self { folder, chain, hub, url }
    }

    /// One of many channels of strangers.
    async fn stranger(&self, number: usize) -> ClientConfig {
        let mut config = ClientConfig::new(&self.chain, 1, &self.url, self.folder.path()).await;
        config.key = SecretKey::derive("stranger", &number.to_be_bytes()).unwrap();
        config.def.a.signer = config.key.address();
        config
    }

    async fn registered(&self, number: usize) -> ClientConfig {
        let config = self.stranger(number).await;
        call(&self.url, "farthing_register", registration(&config)).await.unwrap();
        config
    }

    async fn end(self) {
        self.hub.stop();
        self.hub.ended().await.unwrap();
    }
}

fn registration(config: &ClientConfig) -> Value {
    json!({ "channel": config.def, "publicKey": config.key.public_key() })
}

fn of(config: &ClientConfig) -> Value {
    json!({ "channelId": config.id() })
}

fn code(answer: Result<Value, Value>) -> String {
    answer.unwrap_err()["data"]["code"].as_str().unwrap().to_owned()
}

/// A call from another address of this machine.
async fn call_from(from: [u8; 4], url: &str, method: &str, params: Value) -> Result<Value, Value> {
    let client = reqwest::Client::builder().local_address(IpAddr::from(from)).build().unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let text = client.post(url).body(body).send().await.unwrap().text().await.unwrap();
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    if answer.get("error").is_some() { Err(answer["error"].take()) } else { Ok(answer["result"].take()) }
}

async fn connect(url: &str) -> Socket {
    tokio_tungstenite::connect_async(url.replacen("http", "ws", 1)).await.unwrap().0
}

/// The code with which a connection is closed.
async fn closed(socket: &mut Socket) -> u16 {
    within("the socket is closed", async {
        loop {
            match socket.next().await {
                Some(Ok(tungstenite::Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                end => panic!("no close frame: {end:?}"),
            }
        }
    })
    .await
}

fn proof(config: &ClientConfig, challenge: &Value) -> Value {
    let challenge = serde_json::from_value(challenge["challenge"].clone()).unwrap();
    let session = abi::Session { channelId: config.id().0, challenge };
    json!({ "channelId": config.id(), "signature": config.key.sign(config.domain.digest(&session)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_given_to_whoever_has_the_key_and_to_nobody_else() {
    let stage = Stage::new("").await;
    let (owner, thief) = (stage.registered(1).await, stage.registered(2).await);
    let url = &stage.url;
    let mut socket = attach(&owner, url).await.unwrap();
    let put = json!({ "channelId": owner.id(), "backup": "0x1234" });
    socket_call(&mut socket, "farthing_backupPut", put, drop).await.unwrap();
    let kept = json!({ "backup": "0x1234" });
    assert_eq!(socket_call(&mut socket, "farthing_backupGet", of(&owner), drop).await.unwrap(), kept);

    // Without a key nobody learns as much as whether there is one.
    assert_eq!(code(call(url, "farthing_backupGet", of(&owner)).await), "not-authenticated");
    assert_eq!(code(call(url, "farthing_backupGet", of(&thief)).await), "not-authenticated");
    let mut socket = attach(&thief, url).await.unwrap();
    assert_eq!(code(socket_call(&mut socket, "farthing_backupGet", of(&owner), drop).await), "not-authenticated");
    let challenge = socket_call(&mut socket, "farthing_challenge", of(&owner), drop).await.unwrap();
    let mut forged = proof(&thief, &challenge);
    forged["channelId"] = json!(owner.id());
    assert_eq!(code(socket_call(&mut socket, "farthing_backupGet", forged, drop).await), "bad-signature");

    // On an empty device: with the key, without having attached anything.
    let challenge = call(url, "farthing_challenge", of(&owner)).await.unwrap();
    assert_eq!(call(url, "farthing_backupGet", proof(&owner, &challenge)).await.unwrap(), kept);
    let mut forged = proof(&thief, &challenge);
    forged["channelId"] = json!(owner.id());
    assert_eq!(code(call(url, "farthing_backupGet", forged).await), "bad-signature");
    let of_another = call(url, "farthing_challenge", of(&thief)).await.unwrap();
    assert_eq!(code(call(url, "farthing_backupGet", proof(&owner, &of_another)).await), "bad-signature");
    let mut socket = connect(url).await;
    let challenge = socket_call(&mut socket, "farthing_challenge", of(&owner), drop).await.unwrap();
    let signed = proof(&owner, &challenge);
    assert_eq!(socket_call(&mut socket, "farthing_backupGet", signed.clone(), drop).await.unwrap(), kept);
    assert_eq!(code(socket_call(&mut socket, "farthing_backupGet", signed, drop).await), "not-authenticated");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_limited_by_channel_and_the_newest_is_kept() {
    let stage = Stage::new("backups_per_minute = 1\nbackup_burst = 2").await;
    let (one, two) = (stage.registered(1).await, stage.registered(2).await);
    let put = |config: &ClientConfig, backup: &str| json!({ "channelId": config.id(), "backup": backup });
    let mut socket = attach(&one, &stage.url).await.unwrap();
    for backup in ["0x01", "0x02"] {
        socket_call(&mut socket, "farthing_backupPut", put(&one, backup), drop).await.unwrap();
    }
    let third = socket_call(&mut socket, "farthing_backupPut", put(&one, "0x03"), drop).await;
    assert_eq!(code(third), "rate-limited");
    for _ in 0..2 {
        let found = socket_call(&mut socket, "farthing_backupGet", of(&one), drop).await.unwrap();
        assert_eq!(found, json!({ "backup": "0x02" }));
    }
    assert_eq!(code(socket_call(&mut socket, "farthing_backupGet", of(&one), drop).await), "rate-limited");
    let mut other = attach(&two, &stage.url).await.unwrap();
    socket_call(&mut other, "farthing_backupPut", put(&two, "0x04"), drop).await.unwrap();
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_a_bounded_answer_and_answers_count_until_they_are_read() {
    let stage = Stage::new("").await;
    let ask = |count: usize| {
        let calls = (0..count).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "rpc.discover" }));
        Value::from(calls.collect::<Vec<_>>()).to_string()
    };
    let post = async |url: &str, body: String| {
        let response = reqwest::Client::new().post(url).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, text) = post(&stage.url, ask(64)).await;
    let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!((status, answers.len()), (200, 64));
    assert!(text.len() < 320_000, "{}", text.len());
    assert!(answers[0]["result"].is_object());
    assert_eq!(answers[63]["error"]["data"]["code"], "limit-exceeded");
    stage.end().await;

    let stage = Stage::new("memory_per_ip = 65536").await;
    assert_eq!(post(&stage.url, ask(64)).await.0, 429, "more than an origin may have in memory");
    assert_eq!(post(&stage.url, ask(2)).await.0, 200, "nothing of it is left");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_closed() {
    let stage = Stage::new("write_timeout = 1").await;
    let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover" }).to_string();
    let mut socket = connect(&stage.url).await;
    within("it is hung up on", async {
        while socket.send(tungstenite::Message::Text(ask.clone().into())).await.is_ok() {}
    })
    .await;

    let head = "POST / HTTP/1.1\r\nhost: hub\r\ncontent-length:";
    let request = format!("{head} {}\r\n\r\n{ask}", ask.len());
    let mut stream = TcpStream::connect(stage.hub.address).await.unwrap();
    within("it is hung up on", async { while stream.write_all(request.as_bytes()).await.is_ok() {} }).await;
    assert!(call(&stage.url, "farthing_config", json!({})).await.is_ok());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_keep_nobody_out() {
    let stage = Stage::new("connections_per_ip = 1").await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(stage.hub.address).await.unwrap());
    }
    call(&stage.url, "farthing_config", json!({})).await.unwrap();
    let first = &mut silent[0];
    let read = within("the longest silent one made room", first.read(&mut [0; 8])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    // One that is in use does not.
    let client = stage.registered(1).await;
    stage.chain.deposit(&client.def, ETH, eth(1)).await;
    stage.chain.mine(3).await;
    until("the deposit is final", || async {
        let status = call(&stage.url, "farthing_channel", of(&client)).await.unwrap();
        status["assets"].as_array().unwrap().iter().any(|asset| asset["deposits"]["a"] != "0").then_some(())
    })
    .await;
    let mut socket = attach(&client, &stage.url).await.unwrap();
    for _ in 0..64 {
        silent.push(TcpStream::connect(stage.hub.address).await.unwrap());
    }
    assert!(socket_call(&mut socket, "farthing_config", json!({}), drop).await.is_ok());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_closed() {
    let stage = Stage::new("silence_timeout = 1").await;
    for said in ["", "POST / HTTP/1.1\r\nhost:", "GET /health HTTP/1.1\r\nhost: hub\r\n\r\n"] {
        let mut stream = TcpStream::connect(stage.hub.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = within("it is closed", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), said.ends_with("\r\n\r\n"), "{said}");
    }
    stage.end().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_may_open_too_few_files_says_so_and_does_not_start() {
    let (folder, chain) = (tempfile::tempdir().unwrap(), Chain::start().await);
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, support::hub::toml(&chain, &folder.path().join("hub.sqlite"), "")).unwrap();
    let output = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -n 100; exec \"$0\" run --config \"$1\"", env!("CARGO_BIN_EXE_farthing-hub")])
        .arg(&file)
        .env("FARTHING_HUB_PRIVATE_KEY", support::chain::OWNER_KEY)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("it ends", output).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("ulimit -n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_without_money_make_room_even_if_they_are_connected() {
    let stage = Stage::new("unfunded_channels = 2").await;
    let mut sockets = Vec::new();
    for number in 0..2 {
        sockets.push(attach(&stage.registered(number).await, &stage.url).await.unwrap());
    }
    // It may have to wait for a look at the chain, which is nobody's fault.
    let newcomer = stage.stranger(2).await;
    until("a newcomer is let in", || async {
        stage.chain.mine(1).await;
        call(&stage.url, "farthing_register", registration(&newcomer)).await.ok()
    })
    .await;
    assert_eq!(closed(&mut sockets[0]).await, 1013, "the one that held a place longest");
    assert!(socket_call(&mut sockets[1], "farthing_config", json!({}), drop).await.is_ok());
    attach(&newcomer, &stage.url).await.unwrap();
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_makes_room_in_its_own_places() {
    let stage = Stage::new("unfunded_channels = 9\nunfunded_per_ip = 2").await;
    let (here, there) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    let first = stage.stranger(0).await;
    call_from(here, &stage.url, "farthing_register", registration(&first)).await.unwrap();
    let crowd = [stage.stranger(1).await, stage.stranger(2).await, stage.stranger(3).await];
    for config in &crowd {
        until("it is let in", || async {
            stage.chain.mine(1).await;
            call_from(there, &stage.url, "farthing_register", registration(config)).await.ok()
        })
        .await;
    }
    let status = async |config: &ClientConfig| call(&stage.url, "farthing_channel", of(config)).await;
    assert_eq!(code(status(&crowd[0]).await), "unknown-channel");
    for config in [&first, &crowd[1], &crowd[2]] {
        status(config).await.unwrap();
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_is_told_to_those_whom_it_concerns() {
    let stage = Stage::new("").await;
    let (payer, payee) = (stage.registered(1).await, stage.registered(2).await);
    let mut own = attach(&payee, &stage.url).await.unwrap();
    assert!(call(&stage.url, "farthing_channel", of(&payee)).await.unwrap().get("online").is_none());
    assert_eq!(socket_call(&mut own, "farthing_channel", of(&payee), drop).await.unwrap()["online"], true);
    let mut socket = attach(&payer, &stage.url).await.unwrap();
    assert!(socket_call(&mut socket, "farthing_channel", of(&payee), drop).await.unwrap().get("online").is_none());

    let address = json!({ "address": payee.key.address() });
    assert_eq!(call(&stage.url, "farthing_lookup", address.clone()).await.unwrap()["online"], false);
    let free = socket_call(&mut socket, "farthing_lookup", address.clone(), drop).await.unwrap();
    assert_eq!(free["online"], false, "a channel without money costs nothing");
    stage.chain.deposit(&payer.def, ETH, eth(1)).await;
    within("a payer is told", async {
        loop {
            stage.chain.mine(1).await;
            let told = socket_call(&mut socket, "farthing_lookup", address.clone(), drop).await.unwrap();
            if told["online"] == true {
                break;
            }
        }
    })
    .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_told_apart_by_address() {
    let stage = Stage::new("requests_per_second = 1\nburst = 20").await;
    let drained = async |from: [u8; 4]| {
        until("it is limited", || async { call_from(from, &stage.url, "farthing_config", json!({})).await.err() }).await
    };
    assert_eq!(drained([127, 0, 0, 3]).await["data"]["code"], "rate-limited");
    call_from([127, 0, 0, 4], &stage.url, "farthing_config", json!({})).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 5], 0))).unwrap();
    socket.connect(stage.hub.address).await.unwrap();
    stage.end().await;
}
