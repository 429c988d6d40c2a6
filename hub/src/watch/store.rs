//! What a watchtower remembers: one row for a channel, one for each side that asked, one for each lane, and bounded
//! evidence. It shares file, connection and transaction queue with [`Sqlite`].

mod rows;

use crate::store::{Sqlite, Store, failed};
use crate::watch::WatchLimits;
use farthing_protocol::proof::LaneId;
use farthing_protocol::types::Side;
use farthing_protocol::watch::{AgreedProof, WatchedEvidence};
use farthing_protocol::{Asset, ChannelDef, ChannelId, Code, Error};
use rows::{decode_lane, decode_watched, id_of, signed};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor, Row};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The tower's tables: each step leads from the format before it to the next. None is changed after its release.
const STEPS: [&str; 1] = [include_str!("schema.sql")];

const FORMAT_KEY: &str = "watch-format";

/// Checked proofs that a client asks to have watched.
#[derive(Clone, Debug)]
pub struct Put {
    /// Of which channel.
    pub id: ChannelId,
    /// Its definition.
    pub channel: ChannelDef,
    /// Who asks.
    pub side: Side,
    /// What to watch; no lane twice.
    pub lanes: Vec<PutLane>,
    /// When it was asked for, Unix seconds.
    pub time: u64,
}

/// A checked proof and the evidence for its locks.
#[derive(Clone, Debug)]
pub struct PutLane {
    /// The proof.
    pub proof: AgreedProof,
    /// Checked evidence and the units that it proves, if the lane's payee asks; its payer leaves it as it is.
    pub evidence: Option<Vec<(WatchedEvidence, u32)>>,
}

/// What came of a [`Put`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    /// Since when each lane's proof is watched, Unix seconds.
    pub(super) times: Vec<u64>,
    /// Whether the chain has to be looked at: something is new, or an exit is running.
    pub(super) look: bool,
}

/// A running exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running {
    /// The last second in which proofs are taken, Unix seconds.
    pub ends_at: u64,
    /// The newest block when it was seen.
    pub seen: u64,
}

/// A channel that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Its identifier.
    pub id: ChannelId,
    /// Its definition.
    pub channel: ChannelDef,
    /// Its exit, if one was seen.
    pub exit: Option<Running>,
    /// The newest proof of each lane, and since when it is watched (Unix seconds).
    pub lanes: Vec<(AgreedProof, u64)>,
    /// Pieces of evidence.
    pub evidence: u32,
}

/// Evidence that may have to be recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StoredEvidence {
    pub(super) channel: ChannelId,
    pub(super) condition: farthing_protocol::condition::Condition,
    pub(super) expiry: u64,
    pub(super) units: u32,
    pub(super) evidence: alloy_primitives::Bytes,
}

/// A watchtower's store.
#[derive(Clone, Debug)]
pub struct TowerStore {
    sqlite: Arc<Sqlite>,
}

impl TowerStore {
    /// The tower's tables in this file, brought up to date. Refuses those of a newer version.
    pub async fn open(sqlite: Arc<Sqlite>) -> Result<Self, Error> {
        Self::open_with(sqlite, &STEPS).await
    }

    /// All missing steps are taken together, or none.
    async fn open_with(sqlite: Arc<Sqlite>, steps: &[&'static str]) -> Result<Self, Error> {
        let format = match sqlite.fact(FORMAT_KEY).await?.as_deref().map(str::parse::<usize>) {
            None => 0,
            Some(Ok(format @ 1..)) => format,
            Some(_) => return Err(Error::new(Code::StorageCorrupt, "the tower's tables name no format")),
        };
        let Some(missing) = steps.get(format..) else {
            let about = format!("the tower's tables have format {format}; this build knows {}", steps.len());
            return Err(Error::new(Code::StorageVersion, about));
        };
        if !missing.is_empty() {
            let mut locked = sqlite.lock().await?;
            let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            for step in missing {
                transaction.execute(*step).await.map_err(failed)?;
            }
            sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)")
                .bind(FORMAT_KEY)
                .bind(steps.len().to_string())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
        }
        Ok(Self { sqlite })
    }

    /// The file itself.
    #[must_use]
    pub const fn sqlite(&self) -> &Arc<Sqlite> {
        &self.sqlite
    }

    /// Takes all of these in one transaction, each of them wholly or not at all; durable when it returns.
    pub(super) async fn put(&self, puts: &[Put], limits: &WatchLimits) -> Result<Vec<Result<Taken, Error>>, Error> {
        let mut locked = self.sqlite.lock().await?;
        let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut results = Vec::with_capacity(puts.len());
        for put in puts {
            match rows::put(&mut transaction, put, limits).await {
                // What fails on the caller's side fails before the first write.
                Err(error) if error.blame() == farthing_protocol::Blame::Storage => return Err(error),
                result => results.push(result),
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(results)
    }

    /// A channel, if it is watched.
    pub async fn channel(&self, id: ChannelId) -> Result<Option<Watched>, Error> {
        let mut locked = self.sqlite.lock().await?;
        one(locked.connection()?, id).await
    }

    /// The channels that are watched.
    pub async fn ids(&self) -> Result<BTreeSet<ChannelId>, Error> {
        self.select_ids("SELECT channel FROM watched").await
    }

    /// Those that the chain was not read for since they were asked for.
    pub(super) async fn unchecked(&self) -> Result<BTreeSet<ChannelId>, Error> {
        self.select_ids("SELECT channel FROM watched WHERE checked = 0").await
    }

    /// Those with an exit.
    pub(super) async fn exiting(&self) -> Result<Vec<Watched>, Error> {
        let ids = self.select_ids("SELECT channel FROM watched WHERE exit_ends_at IS NOT NULL").await?;
        let mut locked = self.sqlite.lock().await?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(one(locked.connection()?, id).await?);
        }
        Ok(found)
    }

    /// Marks channels as read.
    pub(super) async fn checked(&self, ids: &BTreeSet<ChannelId>) -> Result<(), Error> {
        let mut locked = self.sqlite.lock().await?;
        let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for id in ids {
            let query = sqlx::query("UPDATE watched SET checked = 1 WHERE channel = ?").bind(id.0.as_slice());
            query.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Sets or forgets an exit.
    pub(super) async fn set_exit(&self, id: ChannelId, exit: Option<Running>) -> Result<(), Error> {
        let mut locked = self.sqlite.lock().await?;
        sqlx::query("UPDATE watched SET exit_ends_at = ?, exit_seen = ? WHERE channel = ?")
            .bind(exit.map(|exit| signed(exit.ends_at)).transpose()?)
            .bind(exit.map(|exit| signed(exit.seen)).transpose()?)
            .bind(id.0.as_slice())
            .execute(locked.connection()?)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Forgets the proofs of one asset, or of all; returns whether nothing is left of the channel. The evidence stays
    /// until it expires: a settled lock can still be claimed with it.
    pub(super) async fn forget_proofs(&self, id: ChannelId, asset: Option<Asset>) -> Result<bool, Error> {
        let mut locked = self.sqlite.lock().await?;
        let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query("DELETE FROM lanes WHERE channel = ?1 AND (?2 IS NULL OR asset = ?2)")
            .bind(id.0.as_slice())
            .bind(asset.map(|asset| asset.to_vec()))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let gone = rows::drop_if_empty(&mut transaction, id).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(gone)
    }

    /// Forgets evidence that expired before this second; returns the channels of which nothing is left.
    pub(super) async fn forget_expired(&self, final_time: u64) -> Result<Vec<ChannelId>, Error> {
        let mut locked = self.sqlite.lock().await?;
        let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let rows = sqlx::query("DELETE FROM evidence WHERE expiry < ? RETURNING channel")
            .bind(signed(final_time)?)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let concerned: BTreeSet<ChannelId> = rows.iter().map(id_of).collect::<Result<_, _>>()?;
        let mut gone = Vec::new();
        for id in concerned {
            if rows::drop_if_empty(&mut transaction, id).await? {
                gone.push(id);
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(gone)
    }

    /// Evidence that expires at or before this second, the soonest first.
    pub(super) async fn evidence_until(&self, time: u64) -> Result<Vec<StoredEvidence>, Error> {
        let mut locked = self.sqlite.lock().await?;
        let rows = sqlx::query(
            "SELECT channel, condition, params, expiry, units, evidence FROM evidence WHERE expiry <= ? ORDER BY expiry",
        )
        .bind(signed(time)?)
        .fetch_all(locked.connection()?)
        .await
        .map_err(failed)?;
        rows.iter().map(rows::decode_evidence).collect()
    }

    /// How many rows each of the tower's tables has: channels, orders, lanes, evidence.
    pub async fn count(&self) -> Result<[u64; 4], Error> {
        let mut locked = self.sqlite.lock().await?;
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM watched), (SELECT COUNT(*) FROM orders), (SELECT COUNT(*) FROM lanes),
             (SELECT COUNT(*) FROM evidence)",
        )
        .fetch_one(locked.connection()?)
        .await
        .map_err(failed)?;
        let mut counts = [0; 4];
        for (index, count) in counts.iter_mut().enumerate() {
            let stored: i64 = row.try_get(index).map_err(failed)?;
            *count = u64::try_from(stored).unwrap_or_default();
        }
        Ok(counts)
    }

    /// Pages that the file has in use.
    pub(super) async fn pages(&self) -> Result<u64, Error> {
        let mut locked = self.sqlite.lock().await?;
        let pages: i64 =
            sqlx::query_scalar("SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count")
                .fetch_one(locked.connection()?)
                .await
                .map_err(failed)?;
        Ok(u64::try_from(pages).unwrap_or_default())
    }

    async fn select_ids(&self, text: &'static str) -> Result<BTreeSet<ChannelId>, Error> {
        let mut locked = self.sqlite.lock().await?;
        let rows = sqlx::query(text).fetch_all(locked.connection()?).await.map_err(failed)?;
        rows.iter().map(id_of).collect()
    }
}

/// A channel with its lanes.
async fn one(connection: &mut SqliteConnection, id: ChannelId) -> Result<Option<Watched>, Error> {
    let row = sqlx::query(
        "SELECT channel, definition, exit_ends_at, exit_seen,
         (SELECT COUNT(*) FROM evidence WHERE evidence.channel = watched.channel) AS pieces
         FROM watched WHERE channel = ?",
    )
    .bind(id.0.as_slice())
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let mut watched = decode_watched(&row)?;
    watched.lanes = lanes(connection, id).await?;
    Ok(Some(watched))
}

/// The newest proof of each lane of a channel.
async fn lanes(connection: &mut SqliteConnection, id: ChannelId) -> Result<Vec<(AgreedProof, u64)>, Error> {
    let rows = sqlx::query(
        "SELECT asset, payer, nonce, transferred, locked, locks_root, seen, signature, acknowledgement, time
         FROM lanes WHERE channel = ? ORDER BY asset, payer",
    )
    .bind(id.0.as_slice())
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    rows.iter().map(decode_lane).collect()
}

/// The lanes' key columns.
pub(super) fn key_of(lane: LaneId) -> (Vec<u8>, i64) {
    (lane.asset.to_vec(), i64::from(lane.payer.index()))
}

#[cfg(test)]
mod tests;
