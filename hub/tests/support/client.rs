//! A client: the protocol's wallet with a SQLite store and a WebSocket, and its own view of the chain.

use super::chain::Chain;
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use farthing_hub::chain::Rpc;
use farthing_hub::clock;
use farthing_hub::store::{Sqlite, Store};
use farthing_protocol::abi::{self, AssetState, IFarthing};
use farthing_protocol::amount::Amount;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::api::frames::notifications;
use farthing_protocol::chain::{AssetStatus, ChainCall, ChainFact, Head};
use farthing_protocol::channel::Policy;
use farthing_protocol::eip712::Domain;
use farthing_protocol::message::Message;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::Participant;
use farthing_protocol::wallet::{Event, PayRequest, Payee, Payment, PaymentId, Wallet, WalletConfig, WalletEffect};
use farthing_protocol::{Asset, ChannelDef, ChannelId, ETH, Sides};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite;

pub type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;
type Job = Box<dyn FnOnce(&mut Wallet) + Send>;
type Condition = Box<dyn FnMut(&Wallet) -> bool + Send>;

pub type Told = Arc<std::sync::Mutex<std::collections::BTreeMap<PaymentId, Payment>>>;

/// A hub that is silent for so long has not let its client in.
const PATIENCE: Duration = Duration::from_secs(20);

enum Command {
    Run(Job),
    When(Condition, oneshot::Sender<()>),
    Connect(String, oneshot::Sender<Result<(), String>>),
}

/// What a client is made of.
#[derive(Clone)]
pub struct ClientConfig {
    pub domain: Domain,
    pub def: ChannelDef,
    pub key: SecretKey,
    pub rpc: Rpc,
    pub assets: Vec<Asset>,
    pub store: PathBuf,
    pub confirmations: u64,
    /// The address that it connects from; a hub's limits go by it.
    pub from: Ipv4Addr,
}

/// A client in a task of its own.
pub struct Client {
    pub config: ClientConfig,
    pub id: ChannelId,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
    /// Transactions that the wallet wants sent.
    pub calls: Arc<std::sync::Mutex<Vec<ChainCall>>>,
    /// Every payment as the application was last told of it.
    pub told: Told,
    /// Whether it has a connection.
    pub online: Arc<AtomicBool>,
}

impl ClientConfig {
    /// The client of one of Anvil's accounts, with the hub that answers at `url`.
    pub async fn new(chain: &Chain, account: usize, url: &str, folder: &Path) -> Self {
        let terms = call(url, "farthing_config", json!({})).await.unwrap();
        let address = |name: &str| -> Address { serde_json::from_value(terms["hub"][name].clone()).unwrap() };
        let key = SecretKey::derive("test client", &account.to_be_bytes()).unwrap();
        let def = ChannelDef {
            a: Participant { owner: chain.accounts[account], signer: key.address() },
            b: Participant { owner: address("owner"), signer: address("signer") },
            challenge_period: 86_400,
            salt: 0,
        };
        Self {
            domain: Domain::new(chain.id, chain.contract),
            def,
            key,
            rpc: chain.rpc.clone(),
            assets: vec![ETH, chain.dai],
            store: folder.join(format!("client-{account}.sqlite")),
            confirmations: 2,
            from: Ipv4Addr::LOCALHOST,
        }
    }

    pub fn id(&self) -> ChannelId {
        self.def.id(self.domain.chain_id(), self.domain.contract())
    }

    /// Starts the client on its store and registers its channel.
    pub async fn start(self, url: &str) -> Client {
        let params = json!({ "channel": self.def, "publicKey": self.key.public_key() });
        let registered = call(url, "farthing_register", params).await.unwrap();
        assert_eq!(registered["channelId"], json!(self.id()));
        let client = self.resume().await;
        client.connect(url).await.unwrap();
        client
    }

    /// Starts the client on its store, without a hub.
    pub async fn resume(self) -> Client {
        let store = Sqlite::open(&self.store).await.unwrap();
        let config = WalletConfig { domain: self.domain, def: self.def, policy: Policy::default() };
        let entries = store.load(&Wallet::prefix(&config)).await.unwrap();
        let wallet = Wallet::restore(config, Some(self.key.clone()), &entries).unwrap();
        let (commands, inbox) = mpsc::unbounded_channel();
        let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
        let id = self.id();
        let told = Told::default();
        let online = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&calls), Arc::clone(&told), Arc::clone(&online));
        let task = tokio::spawn(run(wallet, store, inbox, self.clone(), shared));
        Client { config: self, id, commands, task, calls, told, online }
    }
}

impl Client {
    pub async fn connect(&self, url: &str) -> Result<(), String> {
        let (sender, done) = oneshot::channel();
        let _ = self.commands.send(Command::Connect(url.to_owned(), sender));
        done.await.unwrap_or_else(|_| Err("the client has ended".into()))
    }

    /// Runs something on the wallet, with all that follows from it.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut Wallet) -> T + Send + 'static) -> T {
        let (sender, result) = oneshot::channel();
        let job: Job = Box::new(move |wallet| drop(sender.send(job(wallet))));
        self.commands.send(Command::Run(job)).unwrap_or_else(|_| panic!("the client has ended"));
        result.await.unwrap()
    }

    /// Waits until the wallet is as described.
    pub async fn when(&self, what: &str, condition: impl FnMut(&Wallet) -> bool + Send + 'static) {
        let (sender, done) = oneshot::channel();
        self.commands
            .send(Command::When(Box::new(condition), sender))
            .unwrap_or_else(|_| panic!("the client has ended"));
        super::within(what, done).await.unwrap();
    }

    pub async fn pay(&self, payee: &Payee, asset: Asset, amount: Amount) -> PaymentId {
        let payee = payee.clone();
        let request = request(payee, asset, amount);
        self.run(move |wallet| wallet.pay(request, clock::now())).await.unwrap()
    }

    pub async fn end(self) {
        drop(self.commands);
        self.task.await.unwrap();
    }
}

pub fn request(to: Payee, asset: Asset, amount: Amount) -> PayRequest {
    let (mut id, mut entropy) = ([0; 16], [0; 32]);
    getrandom::fill(&mut id).unwrap();
    getrandom::fill(&mut entropy).unwrap();
    PayRequest { asset, amount, memo: String::from("thanks"), to, expiry: clock::now() + 7_200, id, entropy }
}

/// A call over HTTP.
pub async fn call(url: &str, method: &str, params: Value) -> Result<Value, Value> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let response = super::http().post(url).body(body).send().await.map_err(|error| json!(error.to_string()))?;
    let mut answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    if answer.get("error").is_some() { Err(answer["error"].take()) } else { Ok(answer["result"].take()) }
}

pub async fn payee(url: &str, address: Address) -> Payee {
    let info = call(url, "farthing_lookup", json!({ "address": address })).await.unwrap();
    let info: PayeeInfo = serde_json::from_value(info).unwrap();
    Payee::Channel { to: address, info }
}

/// A call over a WebSocket; notifications that come first are handed to `other`.
pub async fn socket_call(
    socket: &mut Socket,
    method: &str,
    params: Value,
    mut other: impl FnMut(String),
) -> Result<Value, Value> {
    let text = json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params }).to_string();
    socket.send(tungstenite::Message::Text(text.into())).await.map_err(|error| json!(error.to_string()))?;
    loop {
        let Some(Ok(message)) = socket.next().await else { return Err(json!("closed")) };
        let tungstenite::Message::Text(text) = message else { continue };
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        if answer["id"] != method {
            other(text.to_string());
            continue;
        }
        return if answer.get("error").is_some() { Err(answer["error"].take()) } else { Ok(answer["result"].take()) };
    }
}

/// A WebSocket from an address of this machine.
pub async fn connect_from(from: Ipv4Addr, url: &str) -> Result<Socket, Value> {
    let said = |error: &dyn std::fmt::Display| json!(error.to_string());
    let to: SocketAddr = url.trim_start_matches("http://").parse().map_err(|error| said(&error))?;
    let tcp = TcpSocket::new_v4().map_err(|error| said(&error))?;
    tcp.bind(SocketAddr::from((from, 0))).map_err(|error| said(&error))?;
    let stream = tcp.connect(to).await.map_err(|error| said(&error))?;
    stream.set_nodelay(true).map_err(|error| said(&error))?;
    let stream = tokio_tungstenite::MaybeTlsStream::Plain(stream);
    let socket = tokio_tungstenite::client_async(format!("ws://{to}/"), stream).await;
    socket.map(|(socket, _)| socket).map_err(|error| said(&error))
}

/// Connects and proves the key.
pub async fn attach(config: &ClientConfig, url: &str) -> Result<Socket, Value> {
    let mut socket = connect_from(config.from, url).await?;
    prove(&mut socket, config).await?;
    Ok(socket)
}

/// Proves the key on a connection, which gets the channel's messages from then on.
pub async fn prove(socket: &mut Socket, config: &ClientConfig) -> Result<(), Value> {
    let id = config.id();
    let answer = socket_call(socket, "farthing_challenge", json!({ "channelId": id }), drop).await?;
    let challenge: B256 = serde_json::from_value(answer["challenge"].clone()).unwrap();
    let signature = config.key.sign(config.domain.digest(&abi::Session { channelId: id.0, challenge }));
    let params = json!({ "channelId": id, "signature": signature });
    // Of this channel nothing may come before the answer; of others that the connection has, it may.
    let own = id.to_string();
    let other = move |text: String| assert!(!text.contains(&own), "a message came before the answer");
    socket_call(socket, "farthing_attach", params, other).await.map(drop)
}

async fn run(
    mut wallet: Wallet,
    store: Sqlite,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    config: ClientConfig,
    (calls, told, online): (Arc<std::sync::Mutex<Vec<ChainCall>>>, Told, Arc<AtomicBool>),
) {
    let mut waiting: Vec<(Condition, oneshot::Sender<()>)> = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let (frames_in, mut frames) = mpsc::unbounded_channel::<Option<String>>();
    let mut sink = None;
    let mut batch = Vec::new();
    let (facts_in, mut facts) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch(config.clone(), facts_in));
    // A wallet that has not seen the chain refuses what the hub has held for it, and the payment goes back.
    let first: Option<(Vec<ChainFact>, Head)> = facts.recv().await;
    if let Some((read, head)) = first {
        read.iter().for_each(|fact| wallet.chain(fact, clock::now()));
        wallet.head(head, clock::now());
    }
    loop {
        tokio::select! {
            command = inbox.recv() => match command {
                None => break,
                Some(Command::Run(job)) => job(&mut wallet),
                Some(Command::When(condition, done)) => waiting.push((condition, done)),
                Some(Command::Connect(url, done)) => {
                    let attached = tokio::time::timeout(PATIENCE, attach(&config, &url)).await;
                    let result = match attached.unwrap_or_else(|_| Err(json!("the hub does not answer"))) {
                        Ok(socket) => {
                            let (out, mut stream) = socket.split();
                            sink = Some(out);
                            let frames_in = frames_in.clone();
                            tokio::spawn(async move {
                                while let Some(Ok(message)) = stream.next().await {
                                    if let tungstenite::Message::Text(text) = message {
                                        let _ = frames_in.send(Some(text.to_string()));
                                    }
                                }
                                let _ = frames_in.send(None);
                            });
                            online.store(true, Ordering::Release);
                            wallet.connected(clock::now());
                            Ok(())
                        }
                        Err(error) => Err(error.to_string()),
                    };
                    let _ = done.send(result);
                }
            },
            _ = frames.recv_many(&mut batch, 256) => {
                for frame in batch.drain(..) {
                    let Some(text) = frame else {
                        sink = None;
                        online.store(false, Ordering::Release);
                        wallet.disconnected();
                        continue;
                    };
                    for message in messages(&text) {
                        wallet.handle(message, clock::now()).unwrap();
                    }
                }
            }
            read = facts.recv() => if let Some((read, head)) = read {
                let read: Vec<ChainFact> = read;
                for fact in read {
                    wallet.chain(&fact, clock::now());
                }
                wallet.head(head, clock::now());
            },
            _ = ticks.tick() => wallet.tick(clock::now()),
        }
        while let Some(commit) = wallet.poll_commit(clock::now()).unwrap() {
            if !commit.writes.is_empty() {
                store.commit(&commit.writes).await.unwrap();
            }
            let mut out = Vec::new();
            for effect in wallet.committed(commit.durable()).unwrap() {
                match effect {
                    WalletEffect::Send(message) => out.push(message),
                    WalletEffect::Submit { call, .. } => calls.lock().unwrap().push(call),
                    WalletEffect::Event(Event::Payment(payment)) => {
                        drop(told.lock().unwrap().insert(payment.id, payment))
                    }
                    WalletEffect::Event(_) => {}
                }
            }
            if let Some(sink) = &mut sink {
                for frame in notifications(config.id(), &out).unwrap() {
                    let _ = sink.send(tungstenite::Message::Text(frame.into())).await;
                }
            }
        }
        let mut left = Vec::new();
        for (mut condition, done) in waiting.drain(..) {
            if condition(&wallet) {
                let _ = done.send(());
            } else {
                left.push((condition, done))
            }
        }
        waiting = left;
    }
    if let Some(mut sink) = sink {
        let _ = sink.close().await;
    }
    watching.abort();
    let _ = watching.await;
    store.close().await.unwrap();
}

/// Messages of a frame. Anything else that comes unasked is an error of the hub's or the test's.
fn messages(text: &str) -> Vec<Message> {
    let mut frame: Value = serde_json::from_str(text).unwrap();
    assert_eq!(frame["method"], "farthing_messages", "{text}");
    serde_json::from_value(frame["params"]["messages"].take()).unwrap()
}

/// The client's own view of the chain: it does not take the hub's word for it.
async fn watch(config: ClientConfig, facts: mpsc::UnboundedSender<(Vec<ChainFact>, Head)>) {
    let mut last = None;
    let mut interval = tokio::time::interval(Duration::from_millis(50));
    loop {
        interval.tick().await;
        let Ok(newest) = config.rpc.latest().await else { continue };
        if last == Some(newest) {
            continue;
        }
        let Ok(Some(block)) = config.rpc.block(newest.number.saturating_sub(config.confirmations)).await else {
            continue;
        };
        let mut read = Vec::new();
        for asset in &config.assets {
            let call = IFarthing::assetStateCall { channelId: config.id().0, asset: *asset };
            let Ok(answer) = config.rpc.call_at(config.domain.contract(), call.abi_encode().into(), block.hash).await
            else {
                break;
            };
            // The contract may be younger than this block.
            let nothing = AssetState { depositA: 0, depositB: 0, withdrawnA: 0, withdrawnB: 0, status: 0 };
            let state = IFarthing::assetStateCall::abi_decode_returns(&answer).unwrap_or(nothing);
            read.push(ChainFact::Asset {
                asset: *asset,
                deposits: Sides { a: Amount::new(state.depositA), b: Amount::new(state.depositB) },
                withdrawn: Sides { a: Amount::new(state.withdrawnA), b: Amount::new(state.withdrawnB) },
                status: AssetStatus::from_index(state.status),
            });
        }
        if read.len() < config.assets.len() {
            continue;
        }
        last = Some(newest);
        let head = Head {
            number: newest.number,
            timestamp: newest.timestamp,
            final_number: block.number,
            final_timestamp: block.timestamp,
        };
        if facts.send((read, head)).is_err() {
            return;
        }
    }
}
