//! The transactions that the hub wants sent, and every signed form of them.

use super::sqlite::{Sqlite, failed};
use alloy_primitives::{Address, B256, U256};
use farthing_protocol::{Amount, Code, Error};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

/// A transaction that happens at most once: its id is never sent twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// Idempotency key.
    pub id: String,
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
    /// What became of it.
    pub status: Status,
    /// Of the owner's account, once signed.
    pub nonce: Option<u64>,
    /// Gas limit, once signed.
    pub gas: Option<u64>,
    /// The block that holds it, once final.
    pub block: Option<u64>,
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
    /// Unix seconds.
    pub signed_at: u64,
}

/// What became of a transaction.
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
    const fn as_str(self) -> &'static str {
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

pub(super) async fn enqueue(store: &Sqlite, transaction: &Transaction) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    sqlx::query(
        "INSERT INTO txs (id, label, target, data, value, token, token_amount, status)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&transaction.id)
    .bind(&transaction.label)
    .bind(transaction.to.as_slice())
    .bind(&transaction.data)
    .bind(transaction.value.to_be_bytes_vec())
    .bind(transaction.allowance.map(|(token, _)| token.to_vec()))
    .bind(transaction.allowance.map(|(_, amount)| amount.units().to_be_bytes().to_vec()))
    .bind(transaction.status.as_str())
    .execute(locked.connection()?)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(super) async fn open(store: &Sqlite) -> Result<Vec<Transaction>, Error> {
    let mut locked = store.lock().await?;
    let rows = sqlx::query(
        "SELECT id, label, target, data, value, token, token_amount, status, nonce, gas, block FROM txs
         WHERE status IN ('queued', 'sent') ORDER BY seq",
    )
    .fetch_all(locked.connection()?)
    .await
    .map_err(failed)?;
    with_attempts(locked.connection()?, rows).await
}

pub(super) async fn ended_from(store: &Sqlite, nonce: u64) -> Result<Vec<Transaction>, Error> {
    let mut locked = store.lock().await?;
    let rows = sqlx::query(
        "SELECT id, label, target, data, value, token, token_amount, status, nonce, gas, block FROM txs
         WHERE status IN ('mined', 'failed') AND nonce IS NOT NULL AND nonce >= ? ORDER BY nonce",
    )
    .bind(signed_number(nonce)?)
    .fetch_all(locked.connection()?)
    .await
    .map_err(failed)?;
    with_attempts(locked.connection()?, rows).await
}

pub(super) async fn one(store: &Sqlite, id: &str) -> Result<Option<Transaction>, Error> {
    let mut locked = store.lock().await?;
    let rows = sqlx::query(
        "SELECT id, label, target, data, value, token, token_amount, status, nonce, gas, block FROM txs WHERE id = ?",
    )
    .bind(id)
    .fetch_all(locked.connection()?)
    .await
    .map_err(failed)?;
    Ok(with_attempts(locked.connection()?, rows).await?.pop())
}

pub(super) async fn signed(store: &Sqlite, id: &str, nonce: u64, gas: u64, attempt: &Attempt) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    let mut transaction = locked.connection()?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::query("UPDATE txs SET status = 'sent', nonce = ?, gas = ? WHERE id = ?")
        .bind(signed_number(nonce)?)
        .bind(signed_number(gas)?)
        .bind(id)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    sqlx::query(
        "INSERT INTO attempts (hash, id, raw, max_fee, priority_fee, signed_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(attempt.hash.as_slice())
    .bind(id)
    .bind(&attempt.raw)
    .bind(attempt.max_fee.to_be_bytes().as_slice())
    .bind(attempt.priority_fee.to_be_bytes().as_slice())
    .bind(signed_number(attempt.signed_at)?)
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

pub(super) async fn set_status(store: &Sqlite, id: &str, status: Status, block: Option<u64>) -> Result<(), Error> {
    let mut locked = store.lock().await?;
    sqlx::query("UPDATE txs SET status = ?, block = ? WHERE id = ?")
        .bind(status.as_str())
        .bind(block.map(signed_number).transpose()?)
        .bind(id)
        .execute(locked.connection()?)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn with_attempts(connection: &mut SqliteConnection, rows: Vec<SqliteRow>) -> Result<Vec<Transaction>, Error> {
    let mut transactions = Vec::with_capacity(rows.len());
    for row in rows {
        let mut transaction = decode(&row)?;
        let attempts = sqlx::query(
            "SELECT hash, raw, max_fee, priority_fee, signed_at FROM attempts WHERE id = ? ORDER BY signed_at, max_fee",
        )
        .bind(&transaction.id)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        transaction.attempts = attempts.iter().map(decode_attempt).collect::<Result<_, _>>()?;
        transactions.push(transaction);
    }
    Ok(transactions)
}

fn decode(row: &SqliteRow) -> Result<Transaction, Error> {
    let value: Vec<u8> = row.try_get("value").map_err(failed)?;
    let to: Vec<u8> = row.try_get("target").map_err(failed)?;
    let token: Option<Vec<u8>> = row.try_get("token").map_err(failed)?;
    let allowance = token
        .map(|token| {
            let token = Address::try_from(token.as_slice()).map_err(|_| corrupt())?;
            Ok::<_, Error>((token, Amount::new(fee(row, "token_amount")?)))
        })
        .transpose()?;
    Ok(Transaction {
        allowance,
        id: row.try_get("id").map_err(failed)?,
        label: row.try_get("label").map_err(failed)?,
        to: Address::try_from(to.as_slice()).map_err(|_| corrupt())?,
        data: row.try_get("data").map_err(failed)?,
        value: U256::try_from_be_slice(&value).ok_or_else(corrupt)?,
        status: Status::parse(row.try_get("status").map_err(failed)?)?,
        nonce: number(row, "nonce")?,
        gas: number(row, "gas")?,
        block: number(row, "block")?,
        attempts: Vec::new(),
    })
}

fn decode_attempt(row: &SqliteRow) -> Result<Attempt, Error> {
    let hash: Vec<u8> = row.try_get("hash").map_err(failed)?;
    Ok(Attempt {
        hash: B256::try_from(hash.as_slice()).map_err(|_| corrupt())?,
        raw: row.try_get("raw").map_err(failed)?,
        max_fee: fee(row, "max_fee")?,
        priority_fee: fee(row, "priority_fee")?,
        signed_at: number(row, "signed_at")?.ok_or_else(corrupt)?,
    })
}

fn number(row: &SqliteRow, column: &str) -> Result<Option<u64>, Error> {
    let stored: Option<i64> = row.try_get(column).map_err(failed)?;
    stored.map(|number| u64::try_from(number).map_err(|_| corrupt())).transpose()
}

fn fee(row: &SqliteRow, column: &str) -> Result<u128, Error> {
    let bytes: Vec<u8> = row.try_get(column).map_err(failed)?;
    Ok(u128::from_be_bytes(bytes.try_into().map_err(|_| corrupt())?))
}

/// SQLite's integers have a sign.
fn signed_number(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::new(Code::Internal, "a number beyond 2^63"))
}

fn corrupt() -> Error {
    Error::new(Code::StorageCorrupt, "a stored transaction is damaged")
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[tokio::test]
    async fn an_id_is_queued_once_and_keeps_every_signed_form() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("hub.sqlite")).await.unwrap();
        let transaction = Transaction {
            id: "deposit/1".into(),
            label: "deposit".into(),
            to: Address::repeat_byte(1),
            data: vec![1, 2],
            value: U256::from(u128::MAX),
            allowance: Some((Address::repeat_byte(2), Amount::MAX)),
            status: Status::Queued,
            nonce: None,
            gas: None,
            block: None,
            attempts: Vec::new(),
        };
        store.enqueue(&transaction).await.unwrap();
        store.enqueue(&Transaction { data: vec![9], ..transaction.clone() }).await.unwrap();
        assert_eq!(store.open_transactions().await.unwrap(), vec![transaction.clone()]);

        for fee in [1_u8, 2] {
            let attempt = Attempt {
                hash: B256::repeat_byte(fee),
                raw: vec![fee],
                max_fee: fee.into(),
                priority_fee: 1,
                signed_at: 5,
            };
            store.signed("deposit/1", 7, 21_000, &attempt).await.unwrap();
        }
        let sent = store.transaction("deposit/1").await.unwrap().unwrap();
        assert_eq!((sent.status, sent.nonce, sent.attempts.len()), (Status::Sent, Some(7), 2));
        store.set_status("deposit/1", Status::Mined, Some(3)).await.unwrap();
        assert!(store.open_transactions().await.unwrap().is_empty());
        store.enqueue(&transaction).await.unwrap();
        assert!(store.open_transactions().await.unwrap().is_empty(), "never again");
    }
}
