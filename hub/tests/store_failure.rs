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

use alloy_primitives::B256;
use farthing_hub::node::Node;
use farthing_hub::store::{Attempt, NonceEnd, Sqlite, Store, Stored, StoredOrder, Transaction};
use farthing_protocol::journal::{FORMAT, Write};
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
    fn value<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        self.inner.value(key)
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
    fn enqueue<'a>(&'a self, orders: &'a [StoredOrder]) -> Stored<'a, ()> {
        self.inner.enqueue(orders)
    }
    fn open_orders(&self) -> Stored<'_, Vec<StoredOrder>> {
        self.inner.open_orders()
    }
    fn order<'a>(&'a self, id: &'a str) -> Stored<'a, Option<StoredOrder>> {
        self.inner.order(id)
    }
    fn first_hash<'a>(&'a self, id: &'a str) -> Stored<'a, Option<B256>> {
        self.inner.first_hash(id)
    }
    fn give_up<'a>(&'a self, id: &'a str, not_before: u64, now: u64) -> Stored<'a, ()> {
        self.inner.give_up(id, not_before, now)
    }
    fn open_transactions(&self) -> Stored<'_, Vec<Transaction>> {
        self.inner.open_transactions()
    }
    fn ended_from(&self, nonce: u64) -> Stored<'_, Vec<Transaction>> {
        self.inner.ended_from(nonce)
    }
    fn signed<'a>(&'a self, transaction: &'a Transaction, orders: &'a [String]) -> Stored<'a, u64> {
        self.inner.signed(transaction, orders)
    }
    fn signed_again<'a>(&'a self, id: u64, attempt: &'a Attempt) -> Stored<'a, ()> {
        self.inner.signed_again(id, attempt)
    }
    fn end_nonce(&self, end: NonceEnd) -> Stored<'_, ()> {
        self.inner.end_nonce(end)
    }
    fn revive(&self, id: u64) -> Stored<'_, ()> {
        self.inner.revive(id)
    }
    fn has_orders(&self, id: u64) -> Stored<'_, bool> {
        self.inner.has_orders(id)
    }
    fn forget_ended(&self, before: u64, block: u64, most: u32) -> Stored<'_, u64> {
        self.inner.forget_ended(before, block, most)
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

/// A hub that was set back to an older build.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_build_stops_the_start_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hub.sqlite");
    let chain = Chain::start().await;
    let hub = support::start(&chain, &database, "").await;
    let url = format!("http://{}", hub.address);
    let client = ClientConfig::new(&chain, 1, &url, folder.path()).await;
    let params = json!({ "channel": client.def, "publicKey": client.key.public_key() });
    call(&url, "farthing_register", params).await.unwrap();
    hub.stop();
    hub.ended().await.unwrap();

    let store = Arc::new(Sqlite::open(&database).await.unwrap());
    let whole = store.load("").await.unwrap();
    let (key, value) = whole.iter().find(|(key, _)| key.ends_with("/def")).expect("a client has registered");
    let newer = [&[FORMAT + 1], &value[1..]].concat();
    store.commit(&[Write::Put { key: key.clone(), value: newer }]).await.unwrap();
    let before = store.load("").await.unwrap();
    assert_ne!(before, whole);
    let error = Node::start(config(&chain, &database, ""), Arc::clone(&store) as Arc<dyn Store>).await.unwrap_err();
    let code = error.downcast_ref::<Error>().map(Error::code);
    assert_eq!(code, Some(Code::StorageVersion), "{error:#}");
    assert_eq!(store.load("").await.unwrap(), before);

    // The build that wrote it goes on.
    store.commit(&[Write::Put { key: key.clone(), value: value.clone() }]).await.unwrap();
    store.close().await.unwrap();
    let hub = support::start(&chain, &database, "").await;
    hub.stop();
    hub.ended().await.unwrap();
}
