use super::super::{NonceEnd, Status, Store, StoredOrder};
use super::*;
use farthing_protocol::chain::Purpose;
use farthing_protocol::{Amount, ChannelId, ETH};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

fn order(id: &str) -> StoredOrder {
    StoredOrder {
        id: id.into(),
        channel: ChannelId(B256::repeat_byte(3)),
        label: "deposit".into(),
        to: Address::repeat_byte(1),
        data: vec![1, 2],
        value: U256::from(u128::MAX),
        allowance: Some((Address::repeat_byte(2), Amount::MAX)),
        purpose: Purpose::Protect { asset: ETH, amount: Amount::MAX, deadline: 9 },
        status: Status::Queued,
        transaction: None,
        failures: 0,
        reverts: 0,
        not_before: 0,
        queued_at: 4,
    }
}

fn transaction(nonce: u64, hash: u8) -> Transaction {
    let attempt = attempt(hash);
    Transaction {
        id: 0,
        nonce,
        label: "deposit".into(),
        to: Address::repeat_byte(1),
        data: vec![1, 2],
        value: U256::from(7),
        gas: 21_000,
        attempts: vec![attempt],
    }
}

fn attempt(hash: u8) -> Attempt {
    let hash_of = B256::repeat_byte(hash);
    Attempt { hash: hash_of, raw: vec![hash], max_fee: hash.into(), priority_fee: 1, head: 2, time: 5 }
}

const fn end(nonce: u64, winner: Option<u64>, succeeded: bool) -> NonceEnd {
    NonceEnd { nonce, winner, succeeded, block: 3, now: 100, not_before: 107 }
}

#[tokio::test]
async fn an_id_is_queued_once_and_every_signed_form_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("hub.sqlite")).await.unwrap();
    store.enqueue(&[order("a")]).await.unwrap();
    store.enqueue(&[StoredOrder { data: vec![9], ..order("a") }]).await.unwrap();
    assert_eq!(store.open_orders().await.unwrap(), vec![order("a")]);

    let id = store.signed(&transaction(7, 1), &["a".into()]).await.unwrap();
    store.signed_again(id, &attempt(2)).await.unwrap();
    assert!(store.signed(&transaction(8, 3), &["a".into()]).await.is_err(), "an order is signed once");
    let open = store.open_transactions().await.unwrap();
    assert_eq!(open.len(), 1, "nothing is kept of what was refused");
    assert_eq!((open[0].nonce, open[0].attempts.clone()), (7, vec![attempt(1), attempt(2)]));
    assert_eq!(store.order("a").await.unwrap().unwrap().transaction, Some(id));

    store.end_nonce(end(7, Some(id), true)).await.unwrap();
    assert!(store.open_transactions().await.unwrap().is_empty());
    store.enqueue(&[order("a")]).await.unwrap();
    assert!(store.open_orders().await.unwrap().is_empty(), "never again");
}

#[tokio::test]
async fn what_lost_its_nonce_waits_again_and_what_failed_may_be_wanted_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("hub.sqlite")).await.unwrap();
    store.enqueue(&[order("fund"), order("protect"), order("later")]).await.unwrap();
    let first = store.signed(&transaction(7, 1), &["fund".into()]).await.unwrap();
    let second = store.signed(&transaction(7, 2), &["protect".into(), "later".into()]).await.unwrap();
    assert_eq!(store.open_transactions().await.unwrap().len(), 2);
    assert_eq!(store.order("fund").await.unwrap().unwrap().transaction, Some(first), "it may still be mined");

    store.end_nonce(end(7, Some(second), false)).await.unwrap();
    let fund = store.order("fund").await.unwrap().unwrap();
    assert_eq!((fund.status, fund.transaction, fund.failures), (Status::Queued, None, 0));
    for id in ["protect", "later"] {
        let failed = store.order(id).await.unwrap().unwrap();
        assert_eq!((failed.status, failed.reverts, failed.not_before), (Status::Failed, 1, 107));
    }
    store.enqueue(&[StoredOrder { not_before: 107, ..order("protect") }]).await.unwrap();
    let again = store.order("protect").await.unwrap().unwrap();
    assert_eq!((again.status, again.failures, again.not_before), (Status::Queued, 1, 107));
    assert!(!store.has_orders(first).await.unwrap() && store.has_orders(second).await.unwrap());
}

#[tokio::test]
async fn what_ended_long_ago_is_deleted_in_portions_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("hub.sqlite")).await.unwrap();
    let names = ["a", "b", "c", "open"];
    store.enqueue(&names.map(order)).await.unwrap();
    for (number, name) in (0_u8..).zip(names) {
        let id = store.signed(&transaction(number.into(), number), &[name.to_owned()]).await.unwrap();
        if name != "open" {
            store.end_nonce(end(number.into(), Some(id), true)).await.unwrap();
        }
    }
    assert_eq!(store.forget_ended(100, 3, 10).await.unwrap(), 0, "not old enough");
    assert_eq!(store.forget_ended(101, 2, 10).await.unwrap(), 0, "not deep enough");
    let mut rounds = 0;
    while store.forget_ended(101, 3, 2).await.unwrap() > 0 {
        rounds += 1;
    }
    assert_eq!(rounds, 2, "in portions");
    assert!(store.order("a").await.unwrap().is_none() && store.ended_from(0).await.unwrap().is_empty());
    assert_eq!(store.open_orders().await.unwrap().len(), 1);
    assert_eq!(store.open_transactions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn tables_of_before_become_orders_and_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.sqlite");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(true);
    let mut connection = options.connect().await.unwrap();
    super::super::steps::migrator().run_to(2, &mut connection).await.unwrap();
    let (address, word) = (Address::repeat_byte(1), U256::from(5).to_be_bytes_vec());
    for (id, label, status, nonce) in [
        ("mined", "deposit", "mined", Some(1)),
        ("sent", "recordEvidence", "sent", Some(2)),
        ("queued", "withdraw", "queued", None),
        ("given up", "settle", "failed", None::<i64>),
    ] {
        let text =
            "INSERT INTO txs (id, label, target, data, value, status, nonce, gas) VALUES (?, ?, ?, ?, ?, ?, ?, 9)";
        let row = sqlx::query(text).bind(id).bind(label).bind(address.as_slice()).bind(vec![1_u8]).bind(&word);
        row.bind(status).bind(nonce).execute(&mut connection).await.unwrap();
    }
    for (hash, id) in [(1_u8, "mined"), (2, "sent"), (3, "sent")] {
        let fee = u128::from(hash).to_be_bytes().to_vec();
        let text = "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, 77)";
        let row = sqlx::query(text).bind(vec![hash; 32]).bind(id).bind(vec![hash]).bind(&fee).bind(&fee);
        row.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();

    let store = Sqlite::open(&path).await.unwrap();
    let open = store.open_orders().await.unwrap();
    assert_eq!(open.iter().map(|order| order.id.as_str()).collect::<Vec<_>>(), ["sent", "queued"]);
    assert!(matches!(open[0].purpose, Purpose::Protect { amount: Amount::MAX, .. }));
    assert!(matches!(open[1].purpose, Purpose::Serve { .. }));
    let sent = store.open_transactions().await.unwrap();
    assert_eq!((sent.len(), sent[0].nonce, sent[0].attempts.len()), (1, 2, 2));
    assert_eq!(open[0].transaction, Some(sent[0].id));
    assert_eq!((sent[0].value, sent[0].attempts[1].time), (U256::from(5), 77));
    assert_eq!(store.ended_from(1).await.unwrap().len(), 1);
    assert_eq!(store.order("given up").await.unwrap().unwrap().status, Status::Failed);
    store.enqueue(&[order("mined")]).await.unwrap();
    assert_eq!(store.order("mined").await.unwrap().unwrap().status, Status::Mined, "never again");
}
