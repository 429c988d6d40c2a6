//! A hub on nodes as they are: limited, broken, hanging, behind, lying.
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
use alloy_sol_types::SolValue;
use farthing_hub::node::Node;
use farthing_hub::store::Sqlite;
use farthing_protocol::ETH;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::client::{attach, call};
use support::faulty::{Fault, Faulty};
use support::{Chain, ClientConfig, eth, until};
use tempfile::TempDir;

/// A node that stands still for sixty of these is left out.
const POLL: Duration = Duration::from_millis(50);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A hub whose RPCs are these, each with a token in its URL.
/// A chain, and so many ways to it that may fail.
async fn nodes<const N: usize>() -> (TempDir, Chain, [Faulty; N]) {
    let chain = Chain::start().await;
    let nodes = join_all((0..N).map(|_| Faulty::start(&chain.url))).await;
    let nodes = nodes.try_into().unwrap_or_else(|_| panic!("so many were started"));
    (tempfile::tempdir().unwrap(), chain, nodes)
}

/// A hub that reads the chain through them.
async fn start_on(chain: &Chain, folder: &Path, rpcs: &[&Faulty]) -> anyhow::Result<Node> {
    let database = folder.join("hub.sqlite");
    let mut config = support::config(chain, &database, "");
    config.poll_interval = POLL;
    config.rpc_url.0 = rpcs.iter().map(|rpc| format!("{}/v3/{TOKEN}", rpc.url).parse().unwrap()).collect();
    Node::start(config, Arc::new(Sqlite::open(&database).await.unwrap())).await
}

fn url(hub: &Node) -> String {
    format!("http://{}", hub.address)
}

async fn ready(hub: &Node) -> (u16, Value) {
    let response = reqwest::get(format!("{}/ready", url(hub))).await.unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

async fn when_ready(hub: &Node, chain: &Chain) {
    until("it is ready", || async {
        chain.mine(1).await;
        (ready(hub).await.0 == 200).then_some(())
    })
    .await;
}

/// Waits until it is not ready for this reason, which shows nothing of the URL but its origin.
async fn when_refused(hub: &Node, chain: &Chain, reason: &str) {
    until(reason, || async {
        chain.mine(1).await;
        let said = ready(hub).await.1.to_string();
        assert!(!said.contains(TOKEN), "{said}");
        let told = hub.health.trouble().borrow().clone().unwrap_or_default();
        assert!(!told.contains(TOKEN), "{told}");
        (said.contains(reason) || told.contains(reason)).then_some(())
    })
    .await;
}

async fn register(hub: &Node, chain: &Chain, account: usize, folder: &Path) -> ClientConfig {
    let config = ClientConfig::new(chain, account, &url(hub), folder).await;
    let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
    call(&url(hub), "farthing_register", params).await.unwrap();
    config
}

async fn deposit(hub: &Node, config: &ClientConfig) -> Option<String> {
    let status = call(&url(hub), "farthing_channel", json!({ "channelId": config.id() })).await.unwrap();
    let assets = status["assets"].as_array().unwrap();
    let asset = assets.iter().find(|asset| asset["asset"] == json!(ETH))?;
    Some(asset["deposits"]["a"].as_str().unwrap().to_owned())
}

async fn deposits(hub: &Node, chain: &Chain, config: &ClientConfig) {
    chain.deposit(&config.def, ETH, eth(3)).await;
    until("the deposit is final", || async {
        chain.mine(1).await;
        (deposit(hub, config).await? == eth(3).to_string()).then_some(())
    })
    .await;
}

/// A hub that is ready, and a client of it whose deposit counts.
async fn with_client(chain: &Chain, folder: &Path, rpcs: &[&Faulty]) -> (Node, ClientConfig) {
    let hub = start_on(chain, folder, rpcs).await.unwrap();
    when_ready(&hub, chain).await;
    let client = register(&hub, chain, 1, folder).await;
    deposits(&hub, chain, &client).await;
    (hub, client)
}

async fn end(hub: Node) {
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_for_at_the_start_and_later() {
    let (folder, chain, [rpc]) = nodes().await;
    let faults = [Fault::TooMany(0), Fault::Limit, Fault::Page, Fault::Gateway, Fault::Null, Fault::Lost];
    rpc.next(faults.clone());
    let hub = start_on(&chain, folder.path(), &[&rpc]).await.unwrap();
    when_ready(&hub, &chain).await;
    let client = register(&hub, &chain, 1, folder.path()).await;
    for fault in faults {
        rpc.next([fault.clone(), fault]);
    }
    deposits(&hub, &chain, &client).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_rpc_limits_it_waits_says_why_and_lets_clients_in_when_that_is_over() {
    let (folder, chain, [rpc]) = nodes().await;
    rpc.always(Some(Fault::TooMany(1)));
    let hub = start_on(&chain, folder.path(), &[&rpc]).await.unwrap();
    when_refused(&hub, &chain, "limits our questions").await;
    let (status, said) = ready(&hub).await;
    assert_eq!((status, &said["ready"], &said["chain"]), (503, &json!(false), &json!(false)));
    // Whoever arrives meanwhile is told whose chain it is.
    let client = register(&hub, &chain, 1, folder.path()).await;
    let refused = attach(&client, &url(&hub)).await.unwrap_err();
    assert_eq!(refused["data"]["code"], json!("chain-unavailable"), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("the hub can't read the chain"), "{refused}");
    rpc.always(None);
    when_ready(&hub, &chain).await;
    attach(&client, &url(&hub)).await.unwrap();
    deposits(&hub, &chain, &client).await;
    // The same once it has run for a while, for one who is new.
    rpc.always(Some(Fault::Gateway));
    let late = register(&hub, &chain, 2, folder.path()).await;
    when_refused(&hub, &chain, "fails with HTTP 502").await;
    let refused = attach(&late, &url(&hub)).await.unwrap_err();
    assert_eq!(refused["data"]["code"], json!("chain-unavailable"), "{refused}");
    rpc.always(None);
    until("it gets in", || async { attach(&late, &url(&hub)).await.ok() }).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_turns_out_to_be_of_another_chain_ends_the_hub() {
    let (folder, chain, [rpc]) = nodes().await;
    rpc.always(Some(Fault::Chain(5)));
    let refused = start_on(&chain, folder.path(), &[&rpc]).await.unwrap_err().to_string();
    assert!(refused.contains("configured is 31337") && refused.contains("has 5") && !refused.contains(TOKEN));
    rpc.always(Some(Fault::Gateway));
    let hub = start_on(&chain, folder.path(), &[&rpc]).await.unwrap();
    rpc.always(Some(Fault::Chain(5)));
    let ended = support::within("it ends", hub.ended()).await.unwrap_err().to_string();
    assert!(ended.contains("configured is 31337"), "{ended}");
    assert_eq!(rpc.count("eth_call") + rpc.count("eth_getLogs"), 0, "nothing of it was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_block_hashes_in_calls_and_one_that_limits_the_range_of_logs_are_good_enough() {
    for fault in [Fault::NoHashes, Fault::Range(2), Fault::Range(1)] {
        let (folder, chain, [rpc]) = nodes().await;
        rpc.always(Some(fault.clone()));
        let hub = start_on(&chain, folder.path(), &[&rpc]).await.unwrap();
        when_ready(&hub, &chain).await;
        let client = register(&hub, &chain, 1, folder.path()).await;
        chain.mine(40).await;
        deposits(&hub, &chain, &client).await;
        end(hub).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_goes_back_is_waited_for_and_is_no_reorganisation() {
    let (folder, chain, [rpc]) = nodes().await;
    let hub = start_on(&chain, folder.path(), &[&rpc]).await.unwrap();
    let client = register(&hub, &chain, 1, folder.path()).await;
    deposits(&hub, &chain, &client).await;
    chain.mine(20).await;
    until("it has caught up", || async {
        let newest = chain.rpc.latest().await.unwrap().number;
        (hub.health.report().head == Some(newest)).then_some(())
    })
    .await;
    let (before, calls) = (hub.health.report().head, rpc.count("eth_call"));
    rpc.always(Some(Fault::Behind(10)));
    // The chain stands still, so that the node is behind what it said.
    until("it waits", || async {
        let told = hub.health.trouble().borrow().clone().unwrap_or_default();
        told.contains("behind what it said").then_some(())
    })
    .await;
    assert_eq!((hub.health.report().head, rpc.count("eth_call")), (before, calls), "nothing is read anew");
    rpc.always(None);
    until("it goes on", || async { hub.health.trouble().borrow().is_none().then_some(()) }).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_those_that_are_down_are_passed_over_and_two_have_to_agree() {
    let (folder, chain, [first, second, third]) = nodes().await;
    first.always(Some(Fault::Gateway));
    let (hub, _) = with_client(&chain, folder.path(), &[&first, &second]).await;
    // Both are there, and one says that there is more in the channel than there is.
    let words: Vec<u8> = [7_000_000_u64, 0, 0, 0, 0].iter().flat_map(|word| U256::from(*word).abi_encode()).collect();
    let lie = Fault::Lie(format!("0x{}", alloy_primitives::hex::encode(words)));
    let before = first.count("eth_getLogs");
    first.always(Some(lie));
    until("it is asked again", || async {
        chain.mine(1).await;
        (first.count("eth_getLogs") > before).then_some(())
    })
    .await;
    let victim = register(&hub, &chain, 2, folder.path()).await;
    when_refused(&hub, &chain, "do not agree").await;
    assert!(deposit(&hub, &victim).await.is_none_or(|deposit| deposit == "0"), "nothing is believed");
    end(hub).await;
    // A third one decides, and the lie does not count.
    let hub = start_on(&chain, folder.path(), &[&first, &second, &third]).await.unwrap();
    when_ready(&hub, &chain).await;
    deposits(&hub, &chain, &victim).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_down_at_the_start_and_is_of_another_chain_is_never_believed() {
    let (folder, chain, [first, second]) = nodes().await;
    second.always(Some(Fault::Gateway));
    let (hub, _) = with_client(&chain, folder.path(), &[&first, &second]).await;
    second.always(Some(Fault::Chain(5)));
    until("it is asked for its chain", || async {
        chain.mine(1).await;
        (second.count("eth_chainId") > 1).then_some(())
    })
    .await;
    let before = hub.health.report().head;
    let asked = || second.count("") - second.count("eth_chainId");
    let known = asked();
    first.always(Some(Fault::Gateway));
    when_refused(&hub, &chain, "fails with HTTP 502").await;
    assert_eq!((asked(), hub.health.report().head >= before), (known, true), "nothing else is asked of it");
    first.always(None);
    when_ready(&hub, &chain).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_while_another_goes_on_is_left_out_until_it_goes_on() {
    let (folder, chain, [first, second]) = nodes().await;
    let hub = start_on(&chain, folder.path(), &[&first, &second]).await.unwrap();
    when_ready(&hub, &chain).await;
    let client = register(&hub, &chain, 1, folder.path()).await;
    first.always(Some(Fault::Stuck(chain.rpc.latest().await.unwrap().number)));
    deposits(&hub, &chain, &client).await;
    let left_out = first.count("eth_getLogs");
    first.always(None);
    until("it is asked again", || async {
        chain.mine(1).await;
        (first.count("eth_getLogs") > left_out).then_some(())
    })
    .await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_agree_about_logs_though_only_one_tells_their_time() {
    let (folder, chain, [first, second]) = nodes().await;
    second.always(Some(Fault::Times));
    let (hub, _) = with_client(&chain, folder.path(), &[&first, &second]).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_holds_up_nothing_for_good() {
    let (folder, chain, [first, second]) = nodes().await;
    first.always(Some(Fault::Hang));
    let (hub, _) = with_client(&chain, folder.path(), &[&first, &second]).await;
    end(hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_an_empty_account_is_not_ready_whatever_its_reserve_is() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let set = async |wei: u128| chain.ask("anvil_setBalance", json!([chain.accounts[0], U256::from(wei)])).await;
    set(0).await;
    let hub = support::start(&chain, &folder.path().join("hub.sqlite"), "[gas]\nreserve = \"0\"\n").await;
    let (status, said) = ready(&hub).await;
    assert_eq!((status, &said["reasons"]), (503, &json!(["gas low"])));
    set(10).await;
    until("what pays for no transaction is not enough", || async {
        chain.mine(1).await;
        (ready(&hub).await.1["gas"]["balance"] == json!("10")).then_some(())
    })
    .await;
    assert_eq!(ready(&hub).await.0, 503);
    set(1_000_000_000_000_000_000).await;
    when_ready(&hub, &chain).await;
    end(hub).await;
}
