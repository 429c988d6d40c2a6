//! Rows and what they mean.

use super::{Put, PutLane, Running, StoredEvidence, Taken, Watched, key_of, lanes};
use crate::store::failed;
use crate::watch::WatchLimits;
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::condition::Condition;
use farthing_protocol::proof::{LaneId, Proof, SignedProof};
use farthing_protocol::sign::Signature;
use farthing_protocol::types::Side;
use farthing_protocol::watch::AgreedProof;
use farthing_protocol::{Amount, Asset, ChannelDef, ChannelId, Code, Error};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::BTreeSet;

/// Takes a put. Everything is checked before the first write, so that a refusal leaves nothing behind.
pub(super) async fn put(connection: &mut SqliteConnection, put: &Put, limits: &WatchLimits) -> Result<Taken, Error> {
    let exit = check_channel(connection, put, limits).await?;
    let stored = lanes(connection, put.id).await?;
    let find = |lane: LaneId| stored.iter().find(|(proof, _)| proof.lane() == lane);
    let mut newer = Vec::with_capacity(put.lanes.len());
    for lane in &put.lanes {
        let replaces = find(lane.proof.lane()).map(|(stored, _)| lane.proof.replaces(stored)).transpose()?;
        newer.push(replaces.unwrap_or(true));
        if !replaces.unwrap_or(true) {
            check_evidence(connection, put.id, lane, limits).await?;
        }
    }
    let known: BTreeSet<Asset> = stored.iter().map(|(proof, _)| proof.lane().asset).collect();
    let assets: BTreeSet<Asset> =
        known.iter().copied().chain(put.lanes.iter().map(|lane| lane.proof.lane().asset)).collect();
    if assets.len() > usize::try_from(limits.assets_per_channel).unwrap_or(usize::MAX) {
        return Err(Error::new(Code::LimitExceeded, "the tower takes no more assets of this channel"));
    }

    let look = exit.is_some() || assets.len() > known.len();
    write_channel(connection, put, look).await?;
    let mut times = Vec::with_capacity(put.lanes.len());
    for (lane, newer) in put.lanes.iter().zip(newer) {
        let since = find(lane.proof.lane()).filter(|_| !newer).map_or(put.time, |(_, since)| *since);
        if newer {
            write_lane(connection, put.id, lane, put.time).await?;
        }
        write_evidence(connection, put.id, lane, newer).await?;
        times.push(since);
    }
    Ok(Taken { times, look })
}

/// The channel's exit, if it is known. Refuses what is over, and clients that have too many channels.
async fn check_channel(
    connection: &mut SqliteConnection,
    put: &Put,
    limits: &WatchLimits,
) -> Result<Option<u64>, Error> {
    let row = sqlx::query("SELECT exit_ends_at FROM watched WHERE channel = ?")
        .bind(put.id.0.as_slice())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    let known = row.is_some();
    let exit = row.map(|row| number(&row, "exit_ends_at")).transpose()?.flatten();
    if exit.is_some_and(|ends_at| put.time > ends_at) {
        return Err(Error::new(Code::ChannelExiting, "the challenge period is over"));
    }
    let signer = put.channel.participant(put.side).signer;
    let ordered: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE channel = ? AND side = ?")
        .bind(put.id.0.as_slice())
        .bind(i64::from(put.side.index()))
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if ordered == 0 {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE signer = ?")
            .bind(signer.to_vec())
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if count >= i64::from(limits.channels_per_client) {
            return Err(Error::new(Code::LimitExceeded, "the tower watches no more channels of this client"));
        }
    }
    if !known {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM watched").fetch_one(&mut *connection).await.map_err(failed)?;
        if count >= i64::from(limits.channels) {
            return Err(Error::new(Code::LimitExceeded, "the tower watches no more channels"));
        }
    }
    Ok(exit)
}

/// More evidence for a proof that is known must fit beside what is there.
async fn check_evidence(
    connection: &mut SqliteConnection,
    id: ChannelId,
    lane: &PutLane,
    limits: &WatchLimits,
) -> Result<(), Error> {
    let Some(given) = lane.evidence.as_ref().filter(|given| !given.is_empty()) else { return Ok(()) };
    let (asset, payer) = key_of(lane.proof.lane());
    let rows = sqlx::query("SELECT slot FROM evidence WHERE channel = ? AND asset = ? AND payer = ?")
        .bind(id.0.as_slice())
        .bind(asset)
        .bind(payer)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let mut slots: BTreeSet<i64> = given.iter().map(|(evidence, _)| i64::from(evidence.slot)).collect();
    for row in &rows {
        slots.insert(row.try_get("slot").map_err(failed)?);
    }
    if slots.len() > usize::try_from(limits.evidence_per_lane).unwrap_or(usize::MAX) {
        return Err(Error::new(Code::LimitExceeded, "the tower takes no more evidence for this lane"));
    }
    Ok(())
}

async fn write_channel(connection: &mut SqliteConnection, put: &Put, look: bool) -> Result<(), Error> {
    let definition = serde_json::to_string(&put.channel).map_err(|_| Error::from(Code::Internal))?;
    sqlx::query(
        "INSERT INTO watched (channel, definition, checked) VALUES (?1, ?2, 0)
         ON CONFLICT (channel) DO UPDATE SET checked = checked * (1 - ?3)",
    )
    .bind(put.id.0.as_slice())
    .bind(definition)
    .bind(i64::from(look))
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query("INSERT INTO orders (channel, side, signer) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(put.id.0.as_slice())
        .bind(i64::from(put.side.index()))
        .bind(put.channel.participant(put.side).signer.to_vec())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn write_lane(connection: &mut SqliteConnection, id: ChannelId, lane: &PutLane, time: u64) -> Result<(), Error> {
    let (asset, payer) = key_of(lane.proof.lane());
    let SignedProof { proof, signature } = *lane.proof.signed();
    sqlx::query(
        "INSERT INTO lanes
         (channel, asset, payer, nonce, transferred, locked, locks_root, seen, signature, acknowledgement, time)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (channel, asset, payer) DO UPDATE SET nonce = excluded.nonce, transferred = excluded.transferred,
         locked = excluded.locked, locks_root = excluded.locks_root, seen = excluded.seen,
         signature = excluded.signature, acknowledgement = excluded.acknowledgement, time = excluded.time",
    )
    .bind(id.0.as_slice())
    .bind(asset)
    .bind(payer)
    .bind(proof.nonce.to_be_bytes().to_vec())
    .bind(proof.transferred.units().to_be_bytes().to_vec())
    .bind(proof.locked.units().to_be_bytes().to_vec())
    .bind(proof.locks_root.to_vec())
    .bind(proof.seen.to_be_bytes().to_vec())
    .bind(signature.as_bytes().to_vec())
    .bind(lane.proof.acknowledgement().as_bytes().to_vec())
    .bind(signed(time)?)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// With a newer proof the lane's evidence is replaced, since the locks are others; else it grows.
async fn write_evidence(
    connection: &mut SqliteConnection,
    id: ChannelId,
    lane: &PutLane,
    newer: bool,
) -> Result<(), Error> {
    let Some(given) = &lane.evidence else { return Ok(()) };
    let (asset, payer) = key_of(lane.proof.lane());
    if newer {
        sqlx::query("DELETE FROM evidence WHERE channel = ? AND asset = ? AND payer = ?")
            .bind(id.0.as_slice())
            .bind(&asset)
            .bind(payer)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    for (evidence, units) in given {
        sqlx::query(
            "INSERT INTO evidence (channel, asset, payer, slot, condition, params, expiry, units, evidence)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (channel, asset, payer, slot) DO UPDATE
             SET condition = excluded.condition, params = excluded.params, expiry = excluded.expiry,
             units = excluded.units, evidence = excluded.evidence
             WHERE excluded.units > evidence.units OR excluded.expiry <> evidence.expiry
             OR excluded.condition <> evidence.condition OR excluded.params <> evidence.params",
        )
        .bind(id.0.as_slice())
        .bind(&asset)
        .bind(payer)
        .bind(i64::from(evidence.slot))
        .bind(evidence.condition.address.to_vec())
        .bind(evidence.condition.params.to_vec())
        .bind(signed(evidence.expiry)?)
        .bind(i64::from(*units))
        .bind(evidence.evidence.to_vec())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

/// Forgets a channel without proofs and evidence, and says whether it did.
pub(super) async fn drop_if_empty(connection: &mut SqliteConnection, id: ChannelId) -> Result<bool, Error> {
    let gone = sqlx::query(
        "DELETE FROM watched WHERE channel = ?1 AND NOT EXISTS (SELECT 1 FROM lanes WHERE channel = ?1)
         AND NOT EXISTS (SELECT 1 FROM evidence WHERE channel = ?1)",
    );
    let gone = gone.bind(id.0.as_slice()).execute(connection).await.map_err(failed)?;
    Ok(gone.rows_affected() > 0)
}

pub(super) fn id_of(row: &SqliteRow) -> Result<ChannelId, Error> {
    Ok(ChannelId(B256::from(bytes::<32>(row, "channel")?)))
}

pub(super) fn decode_watched(row: &SqliteRow) -> Result<Watched, Error> {
    let definition: String = row.try_get("definition").map_err(failed)?;
    let channel: ChannelDef = serde_json::from_str(&definition).map_err(|_| corrupt())?;
    let exit = match (number(row, "exit_ends_at")?, number(row, "exit_seen")?) {
        (Some(ends_at), Some(seen)) => Some(Running { ends_at, seen }),
        _ => None,
    };
    let evidence: i64 = row.try_get("pieces").map_err(failed)?;
    let evidence = u32::try_from(evidence).map_err(|_| corrupt())?;
    Ok(Watched { id: id_of(row)?, channel, exit, lanes: Vec::new(), evidence })
}

pub(super) fn decode_lane(row: &SqliteRow) -> Result<(AgreedProof, u64), Error> {
    let payer: i64 = row.try_get("payer").map_err(failed)?;
    let payer = u8::try_from(payer).ok().and_then(|index| Side::from_index(index).ok()).ok_or_else(corrupt)?;
    let lane = LaneId { asset: Address::from(bytes::<20>(row, "asset")?), payer };
    let proof = Proof {
        nonce: u64::from_be_bytes(bytes(row, "nonce")?),
        transferred: Amount::new(u128::from_be_bytes(bytes(row, "transferred")?)),
        locked: Amount::new(u128::from_be_bytes(bytes(row, "locked")?)),
        locks_root: B256::from(bytes::<32>(row, "locks_root")?),
        seen: u64::from_be_bytes(bytes(row, "seen")?),
    };
    let signature = |column| Signature::from_slice(&bytes::<65>(row, column)?).map_err(|_| corrupt());
    let signed = SignedProof { proof, signature: signature("signature")? };
    let time = number(row, "time")?.ok_or_else(corrupt)?;
    Ok((AgreedProof::from_stored(lane, signed, signature("acknowledgement")?), time))
}

pub(super) fn decode_evidence(row: &SqliteRow) -> Result<StoredEvidence, Error> {
    let blob = |column| -> Result<Bytes, Error> {
        let stored: Vec<u8> = row.try_get(column).map_err(failed)?;
        Ok(stored.into())
    };
    let units: i64 = row.try_get("units").map_err(failed)?;
    Ok(StoredEvidence {
        channel: id_of(row)?,
        condition: Condition { address: Address::from(bytes::<20>(row, "condition")?), params: blob("params")? },
        expiry: number(row, "expiry")?.ok_or_else(corrupt)?,
        units: u32::try_from(units).map_err(|_| corrupt())?,
        evidence: blob("evidence")?,
    })
}

/// SQLite's integers have a sign.
pub(super) fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::new(Code::InvalidArgument, "a time beyond 2^63"))
}

fn number(row: &SqliteRow, column: &str) -> Result<Option<u64>, Error> {
    let stored: Option<i64> = row.try_get(column).map_err(failed)?;
    stored.map(|number| u64::try_from(number).map_err(|_| corrupt())).transpose()
}

fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Result<[u8; N], Error> {
    let stored: Vec<u8> = row.try_get(column).map_err(failed)?;
    stored.try_into().map_err(|_| corrupt())
}

fn corrupt() -> Error {
    Error::new(Code::StorageCorrupt, "a stored row of the tower is damaged")
}
