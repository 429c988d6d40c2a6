//! What a start costs, and what is known after it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use axum::http::StatusCode;
use farthing_hub::chain::Outcome;
use farthing_hub::chain::{Block, Follower, FollowerConfig, Heard, Listener, Rpc};
use farthing_hub::health::Health;
use farthing_hub::node::Node;
use farthing_hub::store::{Sqlite, Store};
use farthing_protocol::abi::IFarthing;
use farthing_protocol::chain::{ChainCall, ChainFact, Head};
use farthing_protocol::condition::{Condition, ConditionKey, sha256};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Amount, Asset, ChannelDef, ChannelId, Code, ETH, Error};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::client::call;
use support::{Chain, ClientConfig, eth, until, within};
use tokio::sync::mpsc;

const MANY: &str = "[limits]\nregistration_burst = 100000\nregistrations_per_second = 10000\n";

/// What a proxy saw of the questions to the node, and how it fails.
#[derive(Default)]
struct Seen {
    requests: usize,
    /// Those with calls in them.
    asking: usize,
    /// How often each call was asked, by its data.
    calls: BTreeMap<String, usize>,
    /// Requests with calls in them that are let through before `failures` fail.
    spare: usize,
    failures: usize,
    /// Whether one answer of a batch is an error, rather than the whole.
    one: bool,
    /// Whether it takes no batches.
    single: bool,
}

/// A proxy in front of the node that counts, and fails when told.
struct Proxy {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    async fn start(chain: &Chain) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (state, target, client) = (Arc::clone(&seen), chain.url.clone(), reqwest::Client::new());
        let handler = move |body: String| {
            let (state, target, client) = (Arc::clone(&state), target.clone(), client.clone());
            async move { pass(&state, &target, &client, body).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/", axum::routing::post(handler));
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { url, seen }
    }

    fn set(&self, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.lock().unwrap();
        *seen = Seen::default();
        change(&mut seen);
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    fn calls(&self) -> usize {
        self.seen.lock().unwrap().calls.values().sum()
    }
}

async fn pass(seen: &Mutex<Seen>, target: &str, client: &reqwest::Client, body: String) -> (StatusCode, String) {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let questions = asked.as_array().cloned().unwrap_or_else(|| vec![asked.clone()]);
    let calls = questions.iter().filter(|question| question["method"] == "eth_call");
    let calls: Vec<String> = calls.map(|question| question["params"][0].to_string()).collect();
    let (fails, one) = {
        let mut seen = seen.lock().unwrap();
        seen.requests += 1;
        let has_calls = !calls.is_empty();
        seen.asking += usize::from(has_calls);
        for call in calls {
            *seen.calls.entry(call).or_default() += 1;
        }
        let skipped = has_calls && seen.spare > 0;
        seen.spare -= usize::from(skipped);
        let fails = has_calls && !skipped && seen.failures > 0;
        seen.failures -= usize::from(fails);
        (fails || (seen.single && asked.is_array()), seen.one)
    };
    if fails && !one {
        return (StatusCode::SERVICE_UNAVAILABLE, "not now".into());
    }
    let answer = client.post(target).header("content-type", "application/json").body(body).send().await.unwrap();
    let mut answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    if fails {
        let place = if answer.is_array() { &mut answer[1] } else { &mut answer };
        *place = json!({ "jsonrpc": "2.0", "id": place["id"], "error": { "code": -32005, "message": "slow down" } });
    }
    (StatusCode::OK, answer.to_string())
}

/// A hub that looks once, when it starts.
async fn start_once(chain: &Chain, proxy: &Proxy, database: &Path, assets: &[Asset]) -> Node {
    let mut config = support::config(chain, database, MANY);
    config.rpc_url.0 = vec![proxy.url.parse().unwrap()];
    config.poll_interval = Duration::from_secs(3_600);
    config.assets.retain(|asset, _| assets.contains(asset));
    let store = Arc::new(Sqlite::open(database).await.unwrap());
    Node::start(config, store).await.unwrap()
}

async fn end(hub: Node) {
    hub.stop();
    hub.ended().await.unwrap();
}

async fn status(url: &str, id: ChannelId) -> Value {
    call(url, "farthing_channel", json!({ "channelId": id })).await.unwrap()
}

fn deposit_of(status: &Value, asset: Asset) -> Value {
    let assets = status["assets"].as_array().unwrap();
    assets
        .iter()
        .find(|state| state["asset"] == json!(asset))
        .map_or(json!("0"), |state| state["deposits"]["a"].clone())
}

/// Registers channels of strangers, and waits until the hub has read the chain for all of them.
async fn register(chain: &Chain, url: &str, folder: &Path, numbers: std::ops::Range<usize>) -> Vec<ChannelId> {
    let base = ClientConfig::new(chain, 1, url, folder).await;
    let mut ids = Vec::new();
    for number in numbers {
        let mut config = base.clone();
        config.key = SecretKey::derive("stranger", &number.to_be_bytes()).unwrap();
        config.def.a.signer = config.key.address();
        let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
        call(url, "farthing_register", params).await.unwrap();
        ids.push(config.id());
    }
    for id in &ids {
        until("the chain was read for it", || async {
            (!status(url, *id).await["finalBlock"].is_null()).then_some(())
        })
        .await;
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_costs_by_what_happened_and_not_by_the_number_of_channels() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let proxy = Proxy::start(&chain).await;
    let mut costs = Vec::new();
    for numbers in [0..20, 20..200] {
        let hub = support::start(&chain, &database, MANY).await;
        register(&chain, &format!("http://{}", hub.address), folder.path(), numbers).await;
        end(hub).await;
        chain.mine(5).await;
        proxy.set(|_| {});
        let hub = start_once(&chain, &proxy, &database, &[ETH, chain.dai]).await;
        assert!(hub.health.report().ready);
        costs.push(proxy.requests());
        assert_eq!(proxy.calls(), 0, "nothing has happened to any of them");
        end(hub).await;
    }
    // Whoever sends transactions asks a few questions too, sooner or later.
    assert!(costs[1] <= costs[0] + 8, "{costs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_costs_one_more_request_and_what_was_told_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = support::start(&chain, &database, MANY).await;
    let ids = register(&chain, &format!("http://{}", hub.address), folder.path(), 0..120).await;
    end(hub).await;
    let proxy = Proxy::start(&chain).await;
    // As it was stored by those who remembered nothing of what they had read.
    let as_new = async || {
        let seen = chain.rpc.latest().await.unwrap();
        let store = Sqlite::open(&database).await.unwrap();
        store
            .set_fact(
                "cursor",
                format!("{} {}", seen.number - 2, chain.rpc.block(seen.number - 2).await.unwrap().unwrap().hash),
            )
            .await
            .unwrap();
        store.close().await.unwrap();
    };
    let mut costs = Vec::new();
    for (failures, one) in [(0, false), (1, false), (1, true)] {
        as_new().await;
        proxy.set(|seen| *seen = Seen { spare: 2, failures, one, ..Seen::default() });
        let hub = start_once(&chain, &proxy, &database, &[ETH, chain.dai]).await;
        assert!(hub.health.report().ready);
        costs.push(proxy.seen.lock().unwrap().asking);
        assert!(proxy.calls() >= 3 * ids.len());
        end(hub).await;
    }
    assert_eq!(costs, [costs[0], costs[0] + 1, costs[0] + 1]);
    assert!(costs[0] < ids.len() / 2, "{costs:?}");

    // Too many failures in a row: the look ends, and the next one goes on where it stood.
    as_new().await;
    proxy.set(|seen| *seen = Seen { spare: 4, failures: 4, ..Seen::default() });
    let mut config = support::config(&chain, &database, MANY);
    config.rpc_url.0 = vec![proxy.url.parse().unwrap()];
    let hub = Node::start(config, Arc::new(Sqlite::open(&database).await.unwrap())).await.unwrap();
    assert!(hub.health.report().ready);
    let often = proxy.seen.lock().unwrap().calls.values().filter(|asked| **asked > 1).count();
    assert!((1..=101).contains(&often), "{often} were asked again");
    end(hub).await;

    // A node without batches is asked one by one.
    as_new().await;
    proxy.set(|seen| seen.single = true);
    let hub = start_once(&chain, &proxy, &database, &[ETH, chain.dai]).await;
    assert!(hub.health.report().ready);
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_that_a_reorg_took_back_while_the_hub_was_away_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = support::start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await;
    chain.deposit(&client.def, ETH, eth(5)).await;
    chain.mine(3).await;
    until("it is known", || async {
        let known = call(&url, "farthing_channel", json!({ "channelId": client.id() })).await.ok()?;
        (deposit_of(&known, ETH) == eth(5).to_string()).then_some(())
    })
    .await;
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    exit(&chain, &client.def, client.id()).await;
    until("it is seen", || async { (!status(&url, client.id()).await["exitEndsAt"].is_null()).then_some(()) }).await;
    end(hub).await;
    // Above what was final then, so that the cursor's block is still there.
    chain.ask("evm_revert", json!([snapshot])).await;
    chain.mine(1).await;
    let proxy = Proxy::start(&chain).await;
    let hub = start_once(&chain, &proxy, &database, &[ETH, chain.dai]).await;
    let known = status(&format!("http://{}", hub.address), client.id()).await;
    assert!(known["exitEndsAt"].is_null() && !known["finalBlock"].is_null(), "{known}");
    assert_eq!(deposit_of(&known, ETH), eth(5).to_string());
    end(hub).await;

    // One that is final is not asked for again and again.
    exit(&chain, &client.def, client.id()).await;
    chain.ask("evm_increaseTime", json!([10])).await;
    chain.mine(5).await;
    end(start_once(&chain, &proxy, &database, &[ETH, chain.dai]).await).await;
    chain.mine(5).await;
    proxy.set(|_| {});
    let hub = start_once(&chain, &proxy, &database, &[ETH, chain.dai]).await;
    assert!(!status(&format!("http://{}", hub.address), client.id()).await["exitEndsAt"].is_null());
    assert_eq!(proxy.calls(), 0);
    end(hub).await;
}

async fn exit(chain: &Chain, def: &ChannelDef, id: ChannelId) {
    let call = ChainCall::StartExit { channel: *def, proofs: Vec::new() };
    assert!(chain.send(def.a.owner, chain.contract, call.calldata(|_| id).to_vec(), Amount::ZERO).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_hub_was_away_is_known_before_anybody_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let proxy = Proxy::start(&chain).await;
    let all = [ETH, chain.dai];
    let hub = start_once(&chain, &proxy, &database, &[ETH]).await;
    let url = format!("http://{}", hub.address);
    let mut clients = Vec::new();
    for account in [1, 2, 3] {
        clients.push(ClientConfig::new(&chain, account, &url, folder.path()).await);
    }
    // The third is never registered, and the second's registration is the last thing that the hub does.
    for client in &clients[..2] {
        let params = json!({ "channel": client.def, "publicKey": client.key.public_key() });
        call(&url, "farthing_register", params).await.unwrap();
    }
    end(hub).await;
    for client in &clients {
        chain.deposit(&client.def, ETH, eth(5)).await;
        chain.deposit(&client.def, chain.dai, eth(7)).await;
    }
    chain.mine(3).await;
    exit(&chain, &clients[0].def, clients[0].id()).await;
    let known = async |assets: &[Asset]| {
        let hub = start_once(&chain, &proxy, &database, assets).await;
        let url = format!("http://{}", hub.address);
        let mut known = Vec::new();
        for client in &clients {
            let status = status(&url, client.id()).await;
            assert!(!status["finalBlock"].is_null());
            known.push((deposit_of(&status, ETH), deposit_of(&status, chain.dai), !status["exitEndsAt"].is_null()));
        }
        end(hub).await;
        known
    };
    let (five, seven) = (json!(eth(5).to_string()), json!(eth(7).to_string()));
    let one = |exits: bool| (five.clone(), json!("0"), exits);
    assert_eq!(known(&[ETH]).await, [one(true), one(false), one(false)]);
    // An asset that is new in the configuration has a past in every channel.
    let both = |exits: bool| (five.clone(), seven.clone(), exits);
    assert_eq!(known(&all).await, [both(true), both(false), both(false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_was_registered_but_not_read_before_the_end_is_read_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let proxy = Proxy::start(&chain).await;
    let assets = [ETH, chain.dai];
    // Whom it is about is known from the hub's terms.
    let hub = start_once(&chain, &proxy, &folder.path().join("terms.sqlite"), &assets).await;
    let client = ClientConfig::new(&chain, 1, &format!("http://{}", hub.address), folder.path()).await;
    end(hub).await;
    chain.deposit(&client.def, ETH, eth(5)).await;
    chain.mine(9).await;
    // This hub sees nothing of the deposit in any log.
    let hub = start_once(&chain, &proxy, &database, &assets).await;
    let url = format!("http://{}", hub.address);
    proxy.set(|seen| seen.failures = usize::MAX);
    let params = json!({ "channel": client.def, "publicKey": client.key.public_key() });
    call(&url, "farthing_register", params).await.unwrap();
    assert!(status(&url, client.id()).await["finalBlock"].is_null());
    end(hub).await;
    proxy.set(|_| {});
    let hub = start_once(&chain, &proxy, &database, &assets).await;
    let known = status(&format!("http://{}", hub.address), client.id()).await;
    assert_eq!(deposit_of(&known, ETH), eth(5).to_string());
    assert!(!known["finalBlock"].is_null());
    end(hub).await;
}

type Told = (Option<ChannelId>, ChainFact);

/// A listener that writes down what it hears, and may end before the head.
#[derive(Clone, Default)]
struct Notes {
    facts: Arc<Mutex<Vec<Told>>>,
    heads: Arc<Mutex<Vec<Head>>>,
    keys: Arc<Mutex<BTreeSet<ConditionKey>>>,
    ends: Arc<Mutex<bool>>,
}

impl Listener for Notes {
    async fn announced(&self, _channels: Vec<ChannelDef>) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }

    async fn facts(&self, facts: Vec<Told>, _newest: u64) -> Result<Vec<ChannelId>, Error> {
        self.facts.lock().unwrap().extend(facts);
        Ok(Vec::new())
    }

    async fn chain(&self, facts: Vec<Told>, head: Head) -> Result<Heard, Error> {
        if *self.ends.lock().unwrap() {
            return Err(Code::ClientClosed.into());
        }
        self.facts.lock().unwrap().extend(facts);
        self.heads.lock().unwrap().push(head);
        Ok(Heard { unread: self.keys.lock().unwrap().iter().copied().collect(), gone: Vec::new() })
    }

    async fn recorded(&self, facts: Vec<ChainFact>) -> Result<(), Error> {
        for fact in facts {
            let ChainFact::Evidence { key, .. } = fact else { panic!("{fact:?}") };
            assert!(self.keys.lock().unwrap().remove(&key), "asked twice");
        }
        Ok(())
    }

    async fn caught_up(&self, _channels: &BTreeSet<ChannelId>, _at: Block) -> Result<Vec<ChannelId>, Error> {
        Ok(Vec::new())
    }

    async fn outcome(&self, _id: String, _outcome: Outcome) -> Result<(), Error> {
        Ok(())
    }
}

/// Watches until one look is done, or until the listener ends it.
async fn watch_once(chain: &Chain, url: &str, store: &Arc<Sqlite>, notes: &Notes, known: &[ChannelId]) {
    watch_at(chain, url, store, notes, known, 2).await;
}

async fn watch_at(
    chain: &Chain,
    url: &str,
    store: &Arc<Sqlite>,
    notes: &Notes,
    known: &[ChannelId],
    confirmations: u64,
) {
    let health = Arc::new(Health::new(Duration::from_millis(20), 600));
    let (_registered, to_read) = mpsc::unbounded_channel();
    let config = FollowerConfig {
        contract: chain.contract,
        assets: Some(vec![ETH]),
        confirmations,
        poll_interval: Duration::from_millis(20),
        log_range: 3,
    };
    let (store, known) = (Arc::clone(store) as Arc<dyn Store>, known.iter().copied());
    let rpc = Rpc::new(url.parse().unwrap());
    let follower = Follower::new(config, rpc, store, notes.clone(), known, to_read, Arc::clone(&health));
    let mut looks = health.looks();
    let running = follower.with_unread(BTreeSet::new()).run();
    within("one look", async {
        tokio::select! {
            () = running => {}
            seen = looks.wait_for(|(_, head)| head.is_some()) => drop(seen.unwrap()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_recorded_meanwhile_is_told_before_the_head_and_keys_are_asked_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let proxy = Proxy::start(&chain).await;
    let store = Arc::new(Sqlite::open(&folder.path().join("follower.sqlite")).await.unwrap());
    let notes = Notes::default();
    watch_once(&chain, &proxy.url, &store, &notes, &[]).await;

    let preimage = [7; 32];
    let condition = Condition::hash_lock(sha256(&preimage));
    let expiry = chain.rpc.latest().await.unwrap().timestamp + 3_600;
    let call = IFarthing::recordEvidenceCall {
        condition: condition.address,
        params: condition.params.clone(),
        expiry,
        evidence: Bytes::copy_from_slice(&preimage),
    };
    assert!(chain.send(chain.accounts[1], chain.contract, call.abi_encode(), Amount::ZERO).await);
    chain.mine(20).await;
    let keys = (0..250_u32).map(|number| ConditionKey(alloy_primitives::keccak256(number.to_be_bytes())));
    *notes.keys.lock().unwrap() = keys.collect();
    proxy.set(|seen| *seen = Seen { spare: 1, failures: 1, ..Seen::default() });
    watch_once(&chain, &proxy.url, &store, &notes, &[]).await;
    let told = notes.facts.lock().unwrap().clone();
    let evidence =
        |fact: &Told| matches!(fact, (None, ChainFact::Evidence { key, .. }) if *key == condition.key(expiry));
    assert!(told.iter().any(evidence), "{told:?}");
    assert!(notes.keys.lock().unwrap().is_empty());
    assert_eq!(proxy.calls(), 350, "100 of 250 were asked twice");
    assert!(proxy.requests() < 30, "{}", proxy.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_at_which_something_was_told_is_stored_first_so_that_its_reorg_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let store = Arc::new(Sqlite::open(&folder.path().join("follower.sqlite")).await.unwrap());
    let notes = Notes::default();
    let client = support::tower::Pair::new(&chain, 1);
    let (def, id) = (client.def, client.id());
    let other = support::tower::Pair::new(&chain, 2);
    exit(&chain, &other.def, other.id()).await;
    chain.mine(2).await;
    let known = [id, other.id()];
    watch_once(&chain, &chain.url, &store, &notes, &known).await;
    let shown = |notes: &Notes| {
        let facts = notes.facts.lock().unwrap();
        facts.iter().any(|fact| matches!(fact, (Some(of), ChainFact::Shown { asset: ETH, .. }) if *of == other.id()))
    };
    assert!(shown(&notes), "what an exit was shown may be another thing than was told before");
    let deposits = |notes: &Notes| {
        let facts = notes.facts.lock().unwrap();
        facts.iter().rev().find_map(|fact| match fact {
            (Some(of), ChainFact::Asset { deposits, .. }) if *of == id => Some(deposits.a),
            _ => None,
        })
    };
    let snapshot = chain.ask("evm_snapshot", json!([])).await;
    chain.deposit(&def, ETH, eth(5)).await;
    chain.mine(3).await;
    // It may have heard the facts when it ends.
    *notes.ends.lock().unwrap() = true;
    watch_once(&chain, &chain.url, &store, &notes, &known).await;
    let seen = chain.rpc.latest().await.unwrap().number - 2;
    let hash = chain.rpc.block(seen).await.unwrap().unwrap().hash;
    let stored = store.fact("cursor").await.unwrap().unwrap();
    assert!(stored.contains(&hash.to_string()), "{stored}");

    chain.ask("evm_revert", json!([snapshot])).await;
    chain.mine(9).await;
    notes.facts.lock().unwrap().clear();
    // Also if the first try to read all again does not end.
    watch_once(&chain, &chain.url, &store, &notes, &known).await;
    assert_eq!(deposits(&notes), Some(Amount::ZERO));
    assert!(shown(&notes));
    notes.facts.lock().unwrap().clear();
    *notes.ends.lock().unwrap() = false;
    watch_once(&chain, &chain.url, &store, &notes, &known).await;
    assert_eq!(deposits(&notes), Some(Amount::ZERO));
    notes.facts.lock().unwrap().clear();
    chain.mine(1).await;
    watch_once(&chain, &chain.url, &store, &notes, &known).await;
    assert_eq!(deposits(&notes), None, "nothing has happened since then");
    // More confirmations, or a node that is a little behind, are no reorg.
    watch_at(&chain, &chain.url, &store, &notes, &known, 5).await;
    assert_eq!(deposits(&notes), None);
    let heads = notes.heads.lock().unwrap().clone();
    assert!(heads.is_sorted_by_key(|head| head.final_number), "{heads:?}");
}
