//! What the node wants done on chain.

use super::sqlite::{Sqlite, failed};
use super::transactions::{corrupt, end_lost, number, signed_number, word};
use alloy_primitives::{Address, B256, U256};
use farthing_protocol::chain::Purpose;
use farthing_protocol::{Amount, ChannelId, Error};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Row};

const COLUMNS: &str = "id, channel, label, target, data, value, token, token_amount, purpose, asset, amount, deadline, \
                       status, tx, failures, reverts, not_before, queued_at";

/// An order, which is carried out at most once: its id is never sent twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredOrder {
    /// Idempotency key.
    pub id: String,
    /// Whose it is; zero for what serves several.
    pub channel: ChannelId,
    /// For logs.
    pub label: String,
    /// Whom it calls.
    pub to: Address,
    /// What it calls.
    pub data: Vec<u8>,
    /// Wei sent along.
    pub value: U256,
    /// The token whose allowance it spends, and how much of it.
    pub allowance: Option<(Address, Amount)>,
    /// Why.
    pub purpose: Purpose,
    /// What became of it.
    pub status: Status,
    /// The transaction that carries it out, once signed.
    pub transaction: Option<u64>,
    /// How often it failed.
    pub failures: u32,
    /// How often of these its transaction was mined and reverted.
    pub reverts: u32,
    /// Unix seconds before which it is not tried again.
    pub not_before: u64,
    /// Unix seconds.
    pub queued_at: u64,
}

/// What became of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Not signed yet.
    Queued,
    /// Signed, perhaps broadcast.
    Sent,
    /// In a final block, and it succeeded.
    Mined,
    /// Reverted in a final block, or can't succeed.
    Failed,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Mined => "mined",
            Self::Failed => "failed",
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "queued" => Ok(Self::Queued),
            "sent" => Ok(Self::Sent),
            "mined" => Ok(Self::Mined),
            "failed" => Ok(Self::Failed),
            _ => Err(corrupt()),
        }
    }
}

pub(super) async fn enqueue(store: &Sqlite, orders: &[StoredOrder]) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    for order in orders {
        let (kind, asset, amount, deadline) = columns_of(order.purpose);
        // An id that has failed may be wanted once more; one that is under way or mined may not.
        sqlx::query(
            "INSERT INTO tx_orders (id, channel, label, target, data, value, token, token_amount, purpose, asset, amount,
                deadline, status, failures, reverts, not_before, queued_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET status = 'queued', tx = NULL, ended_at = NULL, data = excluded.data,
                value = excluded.value, purpose = excluded.purpose, asset = excluded.asset, amount = excluded.amount,
                deadline = excluded.deadline, not_before = excluded.not_before, queued_at = excluded.queued_at
             WHERE tx_orders.status = 'failed'",
        )
        .bind(&order.id)
        .bind(order.channel.0.as_slice())
        .bind(&order.label)
        .bind(order.to.as_slice())
        .bind(&order.data)
        .bind(order.value.to_be_bytes_vec())
        .bind(order.allowance.map(|(token, _)| token.to_vec()))
        .bind(order.allowance.map(|(_, amount)| amount.units().to_be_bytes().to_vec()))
        .bind(kind)
        .bind(asset.as_slice())
        .bind(amount.units().to_be_bytes().as_slice())
        .bind(deadline.map(signed_deadline))
        .bind(i64::from(order.failures))
        .bind(i64::from(order.reverts))
        .bind(signed_number(order.not_before)?)
        .bind(signed_number(order.queued_at)?)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

pub(super) async fn open(store: &Sqlite) -> Result<Vec<StoredOrder>, Error> {
    let mut locked = store.lock().await?;
    let text = format!("SELECT {COLUMNS} FROM tx_orders WHERE status IN ('queued', 'sent') ORDER BY seq");
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(locked.connection()?).await.map_err(failed)?;
    rows.iter().map(decode).collect()
}

pub(super) async fn one(store: &Sqlite, id: &str) -> Result<Option<StoredOrder>, Error> {
    let mut locked = store.lock().await?;
    let text = format!("SELECT {COLUMNS} FROM tx_orders WHERE id = ?");
    let row = sqlx::query(AssertSqlSafe(text)).bind(id).fetch_optional(locked.connection()?).await.map_err(failed)?;
    row.as_ref().map(decode).transpose()
}

/// Of the forms of a transaction the first pays the least.
pub(super) async fn first_hash(store: &Sqlite, id: &str) -> Result<Option<B256>, Error> {
    let mut locked = store.lock().await?;
    let hash: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT hash FROM attempts JOIN tx_orders ON tx_orders.tx = attempts.tx
         WHERE tx_orders.id = ? ORDER BY max_fee, priority_fee LIMIT 1",
    )
    .bind(id)
    .fetch_optional(locked.connection()?)
    .await
    .map_err(failed)?;
    hash.map(|hash| B256::try_from(hash.as_slice()).map_err(|_| corrupt())).transpose()
}

/// What an order comes to without a transaction that was mined.
pub(super) async fn give_up(store: &Sqlite, id: &str, not_before: u64, now: u64) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    sqlx::query(
        "UPDATE tx_orders SET status = 'failed', tx = NULL, failures = failures + 1, not_before = ?, ended_at = ?
         WHERE id = ?",
    )
    .bind(signed_number(not_before)?)
    .bind(signed_number(now)?)
    .bind(id)
    .execute(locked.connection()?)
    .await
    .map_err(failed)?;
    Ok(())
}

/// How a nonce was used in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NonceEnd {
    /// Which one.
    pub nonce: u64,
    /// The transaction that a final block holds; none of ours if somebody else used the account.
    pub winner: Option<u64>,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// The final block.
    pub block: u64,
    /// Unix seconds.
    pub now: u64,
    /// Unix seconds before which what failed is not tried again.
    pub not_before: u64,
}

pub(super) async fn end_nonce(store: &Sqlite, end: NonceEnd) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let (now, not_before) = (signed_number(end.now)?, signed_number(end.not_before)?);
    let winner = end.winner.map(signed_number).transpose()?;
    let status = if end.succeeded { Status::Mined } else { Status::Failed };
    end_lost(&mut transaction, &end, winner, status.as_str()).await?;
    let ended = i64::from(!end.succeeded);
    sqlx::query(
        "UPDATE tx_orders SET status = ?, ended_at = ?, failures = failures + ?, reverts = reverts + ?, not_before = ?
         WHERE tx = ? AND status = 'sent'",
    )
    .bind(status.as_str())
    .bind(now)
    .bind(ended)
    .bind(ended)
    .bind(not_before)
    .bind(winner)
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    // What lost its nonce to another transaction of ours waits again; what lost it to a stranger's is for whoever
    // wanted it to decide, by what the chain shows.
    let losers = if winner.is_some() {
        "UPDATE tx_orders SET status = 'queued', tx = NULL WHERE status = 'sent'
         AND tx IN (SELECT id FROM transactions WHERE nonce = ? AND status = 'lost')"
    } else {
        "UPDATE tx_orders SET status = 'failed', failures = failures + 1, ended_at = unixepoch() WHERE status = 'sent'
         AND tx IN (SELECT id FROM transactions WHERE nonce = ? AND status = 'lost')"
    };
    sqlx::query(losers).bind(signed_number(end.nonce)?).execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// SQLite's integers have a sign; no deadline is beyond them.
fn signed_deadline(deadline: u64) -> i64 {
    i64::try_from(deadline).unwrap_or(i64::MAX)
}

fn columns_of(purpose: Purpose) -> (&'static str, Address, Amount, Option<u64>) {
    match purpose {
        Purpose::Protect { asset, amount, deadline } => ("protect", asset, amount, Some(deadline)),
        Purpose::Collect { asset, amount } => ("collect", asset, amount, None),
        Purpose::Fund { asset, amount } => ("fund", asset, amount, None),
        Purpose::Serve { asset, amount } => ("serve", asset, amount, None),
    }
}

fn address(row: &SqliteRow, column: &str) -> Result<Address, Error> {
    let bytes: Vec<u8> = row.try_get(column).map_err(failed)?;
    Address::try_from(bytes.as_slice()).map_err(|_| corrupt())
}

fn decode(row: &SqliteRow) -> Result<StoredOrder, Error> {
    let value: Vec<u8> = row.try_get("value").map_err(failed)?;
    let channel: Vec<u8> = row.try_get("channel").map_err(failed)?;
    let token: Option<Vec<u8>> = row.try_get("token").map_err(failed)?;
    let allowance = token
        .map(|token| {
            let token = Address::try_from(token.as_slice()).map_err(|_| corrupt())?;
            Ok::<_, Error>((token, Amount::new(word(row, "token_amount")?)))
        })
        .transpose()?;
    let (asset, amount) = (address(row, "asset")?, Amount::new(word(row, "amount")?));
    let purpose = match row.try_get("purpose").map_err(failed)? {
        "protect" => Purpose::Protect { asset, amount, deadline: number(row, "deadline")?.ok_or_else(corrupt)? },
        "collect" => Purpose::Collect { asset, amount },
        "fund" => Purpose::Fund { asset, amount },
        "serve" => Purpose::Serve { asset, amount },
        _ => return Err(corrupt()),
    };
    let count = |column| number(row, column)?.and_then(|count| u32::try_from(count).ok()).ok_or_else(corrupt);
    Ok(StoredOrder {
        id: row.try_get("id").map_err(failed)?,
        channel: ChannelId(B256::try_from(channel.as_slice()).map_err(|_| corrupt())?),
        label: row.try_get("label").map_err(failed)?,
        to: address(row, "target")?,
        data: row.try_get("data").map_err(failed)?,
        value: U256::try_from_be_slice(&value).ok_or_else(corrupt)?,
        allowance,
        purpose,
        status: Status::parse(row.try_get("status").map_err(failed)?)?,
        transaction: number(row, "tx")?,
        failures: count("failures")?,
        reverts: count("reverts")?,
        not_before: number(row, "not_before")?.ok_or_else(corrupt)?,
        queued_at: number(row, "queued_at")?.ok_or_else(corrupt)?,
    })
}
