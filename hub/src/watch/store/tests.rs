//! Tables that outlive the build that made them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

use super::*;
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::Amount;
use farthing_protocol::condition::Condition;
use farthing_protocol::proof::{Proof, SignedProof};
use farthing_protocol::sign::Signature;
use farthing_protocol::types::Participant;
use std::path::Path;

/// What a later build may add: a column with a default, and a table that is filled from what is there.
const LATER: [&str; 2] = [
    include_str!("../schema.sql"),
    "ALTER TABLE lanes ADD COLUMN content BLOB NOT NULL DEFAULT x'07';
     CREATE TABLE sides (channel BLOB NOT NULL, side INTEGER NOT NULL) STRICT;
     INSERT INTO sides SELECT channel, side FROM orders;",
];

async fn open(path: &Path) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(path).await.unwrap())
}

async fn run(sqlite: &Sqlite, text: &'static str) {
    sqlite.lock().await.unwrap().connection().unwrap().execute(text).await.unwrap();
}

/// Every row of the tower's tables and every column of all tables, as text.
async fn content(sqlite: &Sqlite) -> Vec<String> {
    let mut locked = sqlite.lock().await.unwrap();
    let mut found = Vec::new();
    for text in [
        "SELECT t.name || '.' || c.name || c.type || c.\"notnull\" || coalesce(c.dflt_value, '-') || c.pk
         FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c ORDER BY 1",
        "SELECT key || value FROM meta WHERE key = 'watch-format'",
        "SELECT hex(channel) || definition || checked || coalesce(exit_ends_at, '-') FROM watched ORDER BY 1",
        "SELECT hex(channel) || side || hex(signer) FROM orders ORDER BY 1",
        "SELECT hex(channel) || payer || hex(nonce) || hex(signature) || time FROM lanes ORDER BY 1",
        "SELECT hex(channel) || slot || expiry || units || hex(evidence) FROM evidence ORDER BY 1",
    ] {
        let rows: Vec<String> = sqlx::query_scalar(text).fetch_all(locked.connection().unwrap()).await.unwrap();
        found.extend(rows);
    }
    found
}

/// A file with the tables and rows of format 1.
async fn old(path: &Path) -> Arc<Sqlite> {
    let sqlite = open(path).await;
    run(&sqlite, include_str!("format-1.sql")).await;
    sqlite
}

fn lane(payer: Side, proof: Proof, signatures: [u8; 2]) -> AgreedProof {
    let [signature, acknowledgement] = signatures.map(|r| {
        let bytes = [&[r; 32][..], &[1; 32], &[27]].concat();
        Signature::from_slice(&bytes).unwrap()
    });
    let lane = LaneId { asset: Address::repeat_byte(0xda), payer };
    AgreedProof::from_stored(lane, SignedProof { proof, signature }, acknowledgement)
}

/// What that file says.
async fn check(store: &TowerStore) {
    let id = ChannelId(B256::repeat_byte(0xc1));
    let participant = |n| Participant { owner: Address::repeat_byte(n), signer: Address::repeat_byte(n + 1) };
    let channel = ChannelDef { a: participant(0x11), b: participant(0x21), challenge_period: 600, salt: 7 };
    let first = Proof {
        nonce: 1 << 63,
        transferred: Amount::new(1 << 127),
        locked: Amount::new(10),
        locks_root: B256::repeat_byte(0xaa),
        seen: 5,
    };
    let second = Proof {
        nonce: 3,
        transferred: Amount::new(4),
        locked: Amount::ZERO,
        locks_root: B256::repeat_byte(0xbb),
        seen: 6,
    };
    let lanes = vec![(lane(Side::A, first, [0x51, 0x52]), 1000), (lane(Side::B, second, [0x53, 0x54]), 1001)];
    let exit = Some(Running { ends_at: 2000, seen: 1900 });
    let watched = Watched { id, channel, exit, lanes, evidence: 1 };
    assert_eq!(store.channel(id).await.unwrap(), Some(watched));
    let evidence = StoredEvidence {
        channel: id,
        condition: Condition { address: Address::ZERO, params: Bytes::from_static(&[1, 2]) },
        expiry: 3000,
        units: u32::MAX,
        evidence: Bytes::from_static(&[3, 4]),
    };
    assert_eq!(store.evidence_until(3000).await.unwrap(), [evidence]);
}

#[tokio::test]
async fn tables_of_format_1_are_read_and_are_what_a_fresh_file_has() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = old(&folder.path().join("old.sqlite")).await;
    let before = content(&sqlite).await;
    check(&TowerStore::open(Arc::clone(&sqlite)).await.unwrap()).await;
    if STEPS.len() == 1 {
        assert_eq!(content(&sqlite).await, before);
    }
    // A step that was changed after its release would leave old files behind.
    let fresh = open(&folder.path().join("fresh.sqlite")).await;
    TowerStore::open(Arc::clone(&fresh)).await.unwrap();
    let columns = |content: Vec<String>| content.into_iter().filter(|line| line.contains('.')).collect::<Vec<_>>();
    assert_eq!(columns(content(&fresh).await), columns(content(&sqlite).await));
}

#[tokio::test]
async fn the_next_build_adds_to_what_is_there_and_this_one_then_leaves_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watch.sqlite");
    let sqlite = old(&path).await;
    check(&TowerStore::open_with(Arc::clone(&sqlite), &LATER).await.unwrap()).await;
    // Once.
    TowerStore::open_with(Arc::clone(&sqlite), &LATER).await.unwrap();
    let sides: i64 = {
        let mut locked = sqlite.lock().await.unwrap();
        let text = "SELECT COUNT(*) FROM sides, lanes WHERE side = 0 AND content = x'07'";
        sqlx::query_scalar(text).fetch_one(locked.connection().unwrap()).await.unwrap()
    };
    assert_eq!(sides, 2, "one order, two lanes");
    let before = content(&sqlite).await;
    sqlite.close().await.unwrap();

    let sqlite = open(&path).await;
    let refused = TowerStore::open(Arc::clone(&sqlite)).await.unwrap_err();
    assert_eq!(refused.code(), Code::StorageVersion);
    assert_eq!(content(&sqlite).await, before);
    run(&sqlite, "UPDATE meta SET value = 'one' WHERE key = 'watch-format'").await;
    assert_eq!(TowerStore::open(sqlite).await.unwrap_err().code(), Code::StorageCorrupt);
}

#[tokio::test]
async fn a_step_that_fails_leaves_all_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watch.sqlite");
    let sqlite = old(&path).await;
    let before = content(&sqlite).await;
    let broken = [LATER[0], LATER[1], "INSERT INTO nowhere VALUES (1)"];
    let failed = TowerStore::open_with(Arc::clone(&sqlite), &broken).await.unwrap_err();
    assert_eq!(failed.code(), Code::StorageFailed);
    assert_eq!(content(&sqlite).await, before);
    check(&TowerStore::open(sqlite).await.unwrap()).await;
}
