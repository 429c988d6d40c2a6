//! A store that fails: the hub refuses everything, says so, and ends.
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
use farthing_hub::store::{Attempt, Sqlite, Status, Store, Stored, Transaction};
use farthing_protocol::journal::Write;
use farthing_protocol::{Code, Error};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::client::call;
use support::{Chain, ClientConfig, config, within};

#[derive(Debug)]
struct Failing {
    inner: Sqlite,
    full: AtomicBool,
}

impl Store for Failing {
    fn load<'a>(&'a self, prefix: &'a str) -> Stored<'a, Vec<(String, Vec<u8>)>> {
        self.inner.load(prefix)
    }
    fn commit<'a>(&'a self, writes: &'a [Write]) -> Stored<'a, ()> {
        if self.full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(Error::new(Code::StorageFailed, "the disk /secret/path is full")) });
        }
        self.inner.commit(writes)
    }
    fn fact<'a>(&'a self, key: &'static str) -> Stored<'a, Option<String>> {
        self.inner.fact(key)
    }
    fn set_fact<'a>(&'a self, key: &'static str, value: String) -> Stored<'a, ()> {
        self.inner.set_fact(key, value)
    }
    fn enqueue<'a>(&'a self, transaction: &'a Transaction) -> Stored<'a, ()> {
        self.inner.enqueue(transaction)
    }
    fn open_transactions(&self) -> Stored<'_, Vec<Transaction>> {
        self.inner.open_transactions()
    }
    fn ended_from(&self, nonce: u64) -> Stored<'_, Vec<Transaction>> {
        self.inner.ended_from(nonce)
    }
    fn transaction<'a>(&'a self, id: &'a str) -> Stored<'a, Option<Transaction>> {
        self.inner.transaction(id)
    }
    fn signed<'a>(&'a self, id: &'a str, nonce: u64, gas: u64, attempt: &'a Attempt) -> Stored<'a, ()> {
        self.inner.signed(id, nonce, gas, attempt)
    }
    fn set_status<'a>(&'a self, id: &'a str, status: Status, block: Option<u64>) -> Stored<'a, ()> {
        self.inner.set_status(id, status, block)
    }
    fn close(&self) -> Stored<'_, ()> {
        self.inner.close()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_store_refuses_says_so_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let store = Arc::new(Failing { inner: Sqlite::open(&database).await.unwrap(), full: AtomicBool::new(false) });
    let hub = Node::start(config(&chain, &database, ""), Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await;
    store.full.store(true, Ordering::SeqCst);

    let params = json!({ "channel": client.def, "publicKey": client.key.public_key() });
    let error = call(&url, "farthing_register", params).await.unwrap_err();
    assert_eq!(error["data"]["code"], "storage-failed");
    assert!(!error.to_string().contains("/secret/path"), "causes are for our log");
    let health = Arc::clone(&hub.health);
    assert!(within("it ends", hub.ended()).await.is_err());
    assert!(!health.report().ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_hub_and_a_chain_of_another_id_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = support::start(&chain, &database, "").await;
    hub.stop();
    hub.ended().await.unwrap();
    let store = async || Arc::new(Sqlite::open(&database).await.unwrap());

    let mut other = config(&chain, &database, "");
    other.keys.signer = farthing_protocol::sign::SecretKey::from_bytes(&[3; 32]).unwrap();
    let opened = store().await;
    let error = Node::start(other, Arc::clone(&opened) as Arc<dyn Store>).await.unwrap_err();
    assert!(error.to_string().contains("another hub"), "{error:#}");
    opened.close().await.unwrap();

    let fresh = folder.path().join("fresh.sqlite");
    let mut other = config(&chain, &fresh, "");
    other.chain_id = 1;
    let error = Node::start(other, Arc::new(Sqlite::open(&fresh).await.unwrap())).await.unwrap_err();
    assert!(error.to_string().contains("chain_id"), "{error:#}");
}
