//! The transactions that the node signed, and every signed form of them.

use super::orders::NonceEnd;
use super::sqlite::{Sqlite, failed};
use alloy_primitives::{Address, B256, U256};
use farthing_protocol::{Code, Error};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use std::collections::BTreeMap;

/// A use of a nonce of the account. Several may have one nonce, of which one is mined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// By which orders know it; given by the store.
    pub id: u64,
    /// Of the account.
    pub nonce: u64,
    /// For logs.
    pub label: String,
    /// Whom it calls.
    pub to: Address,
    /// What it calls.
    pub data: Vec<u8>,
    /// Wei sent along.
    pub value: U256,
    /// Gas limit.
    pub gas: u64,
    /// Its signed forms, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One signed form of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Of the signed transaction.
    pub hash: B256,
    /// As it is broadcast.
    pub raw: Vec<u8>,
    /// Wei per gas, at most.
    pub max_fee: u128,
    /// Wei per gas for the proposer.
    pub priority_fee: u128,
    /// The newest block when it was signed.
    pub head: u64,
    /// That block's time, Unix seconds.
    pub time: u64,
}

const COLUMNS: &str = "transactions.id, nonce, label, target, data, value, gas, hash, raw, max_fee, priority_fee, \
                       head, time";

pub(super) async fn open(store: &Sqlite) -> Result<Vec<Transaction>, Error> {
    let mut locked = store.lock().await?;
    let text = format!(
        "SELECT {COLUMNS} FROM transactions JOIN attempts ON attempts.tx = transactions.id
         WHERE status = 'sent' ORDER BY nonce, transactions.id"
    );
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(locked.connection()?).await.map_err(failed)?;
    gather(&rows)
}

pub(super) async fn ended_from(store: &Sqlite, nonce: u64) -> Result<Vec<Transaction>, Error> {
    let mut locked = store.lock().await?;
    let text = format!(
        "SELECT {COLUMNS} FROM transactions JOIN attempts ON attempts.tx = transactions.id
         WHERE status IN ('mined', 'failed') AND nonce >= ? ORDER BY nonce, transactions.id"
    );
    let rows = sqlx::query(AssertSqlSafe(text))
        .bind(signed_number(nonce)?)
        .fetch_all(locked.connection()?)
        .await
        .map_err(failed)?;
    gather(&rows)
}

/// A new use of a nonce with its first signed form, and the orders that it carries out. Returns its id.
pub(super) async fn signed(store: &Sqlite, signed: &Transaction, orders: &[String]) -> Result<u64, Error> {
    let mut locked = store.lock().await?;
    let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let inserted = sqlx::query(
        "INSERT INTO transactions (nonce, label, target, data, value, gas, status) VALUES (?, ?, ?, ?, ?, ?, 'sent')",
    )
    .bind(signed_number(signed.nonce)?)
    .bind(&signed.label)
    .bind(signed.to.as_slice())
    .bind(&signed.data)
    .bind(signed.value.to_be_bytes_vec())
    .bind(signed_number(signed.gas)?)
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    let id = inserted.last_insert_rowid();
    for order in orders {
        // An order that is not queued would be sent twice.
        let done = sqlx::query("UPDATE tx_orders SET status = 'sent', tx = ? WHERE id = ? AND status = 'queued'")
            .bind(id)
            .bind(order)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if done.rows_affected() != 1 {
            return Err(Error::new(Code::Internal, "an order that is not queued was to be signed"));
        }
    }
    for attempt in &signed.attempts {
        insert_attempt(&mut transaction, id, attempt).await?;
    }
    transaction.commit().await.map_err(failed)?;
    u64::try_from(id).map_err(|_| corrupt())
}

pub(super) async fn signed_again(store: &Sqlite, id: u64, attempt: &Attempt) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    insert_attempt(locked.connection()?, signed_number(id)?, attempt).await
}

/// A reorganisation took its block back: it is under way again, with the orders that are still its own.
pub(super) async fn revive(store: &Sqlite, id: u64) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    for text in [
        "UPDATE transactions SET status = 'sent', block = NULL, ended_at = NULL WHERE id = ?",
        "UPDATE tx_orders SET status = 'sent', ended_at = NULL WHERE tx = ? AND status IN ('mined', 'failed')",
    ] {
        sqlx::query(text).bind(signed_number(id)?).execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Whether orders are still carried out by this transaction, and not by a later one.
pub(super) async fn has_orders(store: &Sqlite, id: u64) -> Result<bool, Error> {
    let mut locked = store.lock().await?;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tx_orders WHERE tx = ?")
        .bind(signed_number(id)?)
        .fetch_one(locked.connection()?)
        .await
        .map_err(failed)?;
    Ok(count > 0)
}

/// Deletes some of what ended before this second and in no block above this one. Returns how many rows went.
pub(super) async fn forget_ended(store: &Sqlite, before: u64, block: u64, most: u32) -> Result<u64, Error> {
    let (before, block) = (signed_number(before)?, signed_number(block)?);
    let mut locked = store.lock().await?;
    let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let orders = sqlx::query(
        "DELETE FROM tx_orders WHERE seq IN (
            SELECT seq FROM tx_orders LEFT JOIN transactions ON transactions.id = tx_orders.tx
            WHERE tx_orders.ended_at < ? AND tx_orders.status IN ('mined', 'failed')
                AND coalesce(transactions.block, 0) <= ? LIMIT ?)",
    )
    .bind(before)
    .bind(block)
    .bind(i64::from(most))
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    let old = "SELECT id FROM transactions WHERE status <> 'sent' AND ended_at < ? AND coalesce(block, 0) <= ?
        AND NOT EXISTS (SELECT 1 FROM tx_orders WHERE tx_orders.tx = transactions.id) ORDER BY id LIMIT ?";
    let mut gone = orders.rows_affected();
    for text in
        [format!("DELETE FROM attempts WHERE tx IN ({old})"), format!("DELETE FROM transactions WHERE id IN ({old})")]
    {
        let done = sqlx::query(AssertSqlSafe(text))
            .bind(before)
            .bind(block)
            .bind(i64::from(most))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        gone = gone.saturating_add(done.rows_affected());
    }
    transaction.commit().await.map_err(failed)?;
    Ok(gone)
}

/// The winner of a nonce ends as `status`, all others with that nonce are lost.
pub(super) async fn end_lost(
    connection: &mut SqliteConnection,
    end: &NonceEnd,
    winner: Option<i64>,
    status: &'static str,
) -> Result<(), Error> {
    let (block, now) = (signed_number(end.block)?, signed_number(end.now)?);
    sqlx::query("UPDATE transactions SET status = ?, block = ?, ended_at = ? WHERE id = ?")
        .bind(status)
        .bind(block)
        .bind(now)
        .bind(winner)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    sqlx::query("UPDATE transactions SET status = 'lost', block = ?, ended_at = ? WHERE nonce = ? AND status = 'sent'")
        .bind(block)
        .bind(now)
        .bind(signed_number(end.nonce)?)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn insert_attempt(connection: &mut SqliteConnection, id: i64, attempt: &Attempt) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO attempts (hash, tx, raw, max_fee, priority_fee, head, time) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(attempt.hash.as_slice())
    .bind(id)
    .bind(&attempt.raw)
    .bind(attempt.max_fee.to_be_bytes().as_slice())
    .bind(attempt.priority_fee.to_be_bytes().as_slice())
    .bind(signed_number(attempt.head)?)
    .bind(signed_number(attempt.time)?)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// One row for each signed form.
fn gather(rows: &[SqliteRow]) -> Result<Vec<Transaction>, Error> {
    let mut found: BTreeMap<(u64, u64), Transaction> = BTreeMap::new();
    for row in rows {
        let id = number(row, "id")?.ok_or_else(corrupt)?;
        let nonce = number(row, "nonce")?.ok_or_else(corrupt)?;
        let hash: Vec<u8> = row.try_get("hash").map_err(failed)?;
        let attempt = Attempt {
            hash: B256::try_from(hash.as_slice()).map_err(|_| corrupt())?,
            raw: row.try_get("raw").map_err(failed)?,
            max_fee: word(row, "max_fee")?,
            priority_fee: word(row, "priority_fee")?,
            head: number(row, "head")?.ok_or_else(corrupt)?,
            time: number(row, "time")?.ok_or_else(corrupt)?,
        };
        match found.get_mut(&(nonce, id)) {
            Some(known) => known.attempts.push(attempt),
            None => {
                let value: Vec<u8> = row.try_get("value").map_err(failed)?;
                let to: Vec<u8> = row.try_get("target").map_err(failed)?;
                let transaction = Transaction {
                    id,
                    nonce,
                    label: row.try_get("label").map_err(failed)?,
                    to: Address::try_from(to.as_slice()).map_err(|_| corrupt())?,
                    data: row.try_get("data").map_err(failed)?,
                    value: U256::try_from_be_slice(&value).ok_or_else(corrupt)?,
                    gas: number(row, "gas")?.ok_or_else(corrupt)?,
                    attempts: vec![attempt],
                };
                found.insert((nonce, id), transaction);
            }
        }
    }
    let mut transactions: Vec<_> = found.into_values().collect();
    for transaction in &mut transactions {
        transaction.attempts.sort_by_key(|attempt| (attempt.max_fee, attempt.priority_fee));
    }
    Ok(transactions)
}

pub(super) fn number(row: &SqliteRow, column: &str) -> Result<Option<u64>, Error> {
    let stored: Option<i64> = row.try_get(column).map_err(failed)?;
    stored.map(|number| u64::try_from(number).map_err(|_| corrupt())).transpose()
}

/// A number of 128 bits.
pub(super) fn word(row: &SqliteRow, column: &str) -> Result<u128, Error> {
    let bytes: Vec<u8> = row.try_get(column).map_err(failed)?;
    Ok(u128::from_be_bytes(bytes.try_into().map_err(|_| corrupt())?))
}

/// SQLite's integers have a sign.
pub(super) fn signed_number(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::new(Code::Internal, "a number beyond 2^63"))
}

pub(super) fn corrupt() -> Error {
    Error::new(Code::StorageCorrupt, "a stored transaction is damaged")
}

#[cfg(test)]
mod tests;
