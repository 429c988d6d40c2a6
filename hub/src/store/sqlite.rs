//! SQLite: one file, one connection, one owner. WAL with `synchronous=FULL`, so that a commit has reached the
//! disk when it returns; an exclusive lock, so that two hubs can't sign from one file.

use super::{Attempt, NonceEnd, Store, Stored, StoredOrder, Transaction, orders, steps, transactions};
use alloy_primitives::B256;
use farthing_protocol::journal::{self, Write};
use farthing_protocol::{Code, Error};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// The version of the tables' content, which is the records' own (it was 3 when this was 1). A hub refuses a file with a
/// higher one, and raises a lower one: what it writes from then on, the hub before could not read.
const FORMAT: u64 = journal::FORMAT as u64 - 2;

/// Most rows in one statement.
const ROWS: usize = 128;

/// A store in a SQLite file.
pub struct Sqlite {
    connection: Mutex<Option<SqliteConnection>>,
}

impl Sqlite {
    /// Opens or creates the file, takes its lock, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // Before the journal mode: with the lock held from the start, SQLite needs no shared memory file.
            .locking_mode(SqliteLockingMode::Exclusive)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(200))
            .foreign_keys(true)
            .disable_statement_logging();
        let about = |error: &sqlx::Error| {
            let path = path.display();
            if is_locked(error) {
                return Error::new(Code::StorageLocked, format!("{path} is in use by another hub"));
            }
            Error::new(Code::StorageFailed, format!("cannot open {path}: {error}"))
        };
        let mut connection = options.connect().await.map_err(|error| about(&error))?;
        // Takes the exclusive lock, which a connection gets with its first write.
        connection.execute("BEGIN EXCLUSIVE; COMMIT").await.map_err(|error| about(&error))?;
        steps::migrator().run(&mut connection).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => {
                Error::new(Code::StorageVersion, format!("{} has tables of version {version}", path.display()))
            }
            other => Error::new(Code::StorageFailed, format!("cannot migrate {}: {other}", path.display())),
        })?;
        let store = Self { connection: Mutex::new(Some(connection)) };
        store.check_format(path, FORMAT).await?;
        Ok(store)
    }

    /// Before anything is written, but for tables that are new.
    async fn check_format(&self, path: &Path, newest: u64) -> Result<(), Error> {
        let stored = self.fact("format").await?;
        match stored.as_deref().map(str::parse::<u64>) {
            Some(Ok(version)) if version == newest => Ok(()),
            Some(Ok(version)) if version > newest => Err(Error::new(
                Code::StorageVersion,
                format!("{} has format {version}; this build knows {newest}", path.display()),
            )),
            None | Some(Ok(1..)) => self.set_fact("format", newest.to_string()).await,
            Some(_) => Err(Error::new(Code::StorageCorrupt, format!("{} names no format", path.display()))),
        }
    }

    /// The connection; other users wait.
    pub(crate) async fn lock(&self) -> Result<Locked<'_>, Error> {
        let guard = self.connection.lock().await;
        if guard.is_none() {
            return Err(Error::new(Code::StorageFailed, "the store is closed"));
        }
        Ok(Locked(guard))
    }
}

/// The one connection, which is there: [`Sqlite::lock`] looked.
pub(crate) struct Locked<'a>(MutexGuard<'a, Option<SqliteConnection>>);

impl Locked<'_> {
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.0.as_mut().ok_or_else(|| Error::new(Code::StorageFailed, "the store is closed"))
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sqlite")
    }
}

impl Store for Sqlite {
    fn load<'a>(&'a self, prefix: &'a str) -> Stored<'a, Vec<(String, Vec<u8>)>> {
        Box::pin(async move {
            let mut locked = self.lock().await?;
            let rows = sqlx::query("SELECT key, value FROM kv WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key")
                .bind(prefix)
                .fetch_all(locked.connection()?)
                .await
                .map_err(failed)?;
            rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))).collect()
        })
    }

    fn value<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut locked = self.lock().await?;
            sqlx::query_scalar("SELECT value FROM kv WHERE key = ?")
                .bind(key)
                .fetch_optional(locked.connection()?)
                .await
                .map_err(failed)
        })
    }

    fn commit<'a>(&'a self, writes: &'a [Write]) -> Stored<'a, ()> {
        Box::pin(async move {
            // The last write of a key decides, so that puts and deletes can go in a statement each.
            let mut last: BTreeMap<&str, Option<&[u8]>> = BTreeMap::new();
            for write in writes {
                match write {
                    Write::Put { key, value } => last.insert(key, Some(value)),
                    Write::Delete { key } => last.insert(key, None),
                };
            }
            let puts: Vec<_> = last.iter().filter_map(|(key, value)| value.map(|value| (*key, value))).collect();
            let deletes: Vec<_> = last.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| *key).collect();

            let mut locked = self.lock().await?;
            let connection = locked.connection()?;
            if deletes.is_empty() && puts.len() <= ROWS {
                // One statement is a transaction of its own, and one message to SQLite's thread instead of three.
                return put(connection, &puts).await;
            }
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            for rows in puts.chunks(ROWS) {
                put(&mut transaction, rows).await?;
            }
            for keys in deletes.chunks(ROWS) {
                delete(&mut transaction, keys).await?;
            }
            transaction.commit().await.map_err(failed)
        })
    }

    fn fact<'a>(&'a self, key: &'static str) -> Stored<'a, Option<String>> {
        Box::pin(async move {
            let mut locked = self.lock().await?;
            sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
                .bind(key)
                .fetch_optional(locked.connection()?)
                .await
                .map_err(failed)
        })
    }

    fn set_fact<'a>(&'a self, key: &'static str, value: String) -> Stored<'a, ()> {
        Box::pin(async move {
            let mut locked = self.lock().await?;
            sqlx::query(
                "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .bind(key)
            .bind(value)
            .execute(locked.connection()?)
            .await
            .map_err(failed)?;
            Ok(())
        })
    }

    fn enqueue<'a>(&'a self, orders: &'a [StoredOrder]) -> Stored<'a, ()> {
        Box::pin(orders::enqueue(self, orders))
    }

    fn open_orders(&self) -> Stored<'_, Vec<StoredOrder>> {
        Box::pin(orders::open(self))
    }

    fn order<'a>(&'a self, id: &'a str) -> Stored<'a, Option<StoredOrder>> {
        Box::pin(orders::one(self, id))
    }

    fn first_hash<'a>(&'a self, id: &'a str) -> Stored<'a, Option<B256>> {
        Box::pin(orders::first_hash(self, id))
    }

    fn give_up<'a>(&'a self, id: &'a str, not_before: u64, now: u64) -> Stored<'a, ()> {
        Box::pin(orders::give_up(self, id, not_before, now))
    }

    fn open_transactions(&self) -> Stored<'_, Vec<Transaction>> {
        Box::pin(transactions::open(self))
    }

    fn ended_from(&self, nonce: u64) -> Stored<'_, Vec<Transaction>> {
        Box::pin(transactions::ended_from(self, nonce))
    }

    fn signed<'a>(&'a self, transaction: &'a Transaction, orders: &'a [String]) -> Stored<'a, u64> {
        Box::pin(transactions::signed(self, transaction, orders))
    }

    fn signed_again<'a>(&'a self, id: u64, attempt: &'a Attempt) -> Stored<'a, ()> {
        Box::pin(transactions::signed_again(self, id, attempt))
    }

    fn end_nonce(&self, end: NonceEnd) -> Stored<'_, ()> {
        Box::pin(orders::end_nonce(self, end))
    }

    fn revive(&self, id: u64) -> Stored<'_, ()> {
        Box::pin(transactions::revive(self, id))
    }

    fn has_orders(&self, id: u64) -> Stored<'_, bool> {
        Box::pin(transactions::has_orders(self, id))
    }

    fn forget_ended(&self, before: u64, block: u64, most: u32) -> Stored<'_, u64> {
        Box::pin(transactions::forget_ended(self, before, block, most))
    }

    fn close(&self) -> Stored<'_, ()> {
        Box::pin(async move {
            let Some(connection) = self.connection.lock().await.take() else { return Ok(()) };
            connection.close().await.map_err(failed)
        })
    }
}

/// What a failure of the database becomes. The cause is for the log; clients get the code.
pub(crate) fn failed(error: sqlx::Error) -> Error {
    Error::new(Code::StorageFailed, error.to_string())
}

fn is_locked(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED, whatever their extended code says.
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

async fn put(connection: &mut SqliteConnection, rows: &[(&str, &[u8])]) -> Result<(), Error> {
    let Some(last) = rows.last() else { return Ok(()) };
    let count = padded(rows.len());
    let values = vec!["(?, ?)"; count].join(", ");
    let text =
        format!("INSERT INTO kv (key, value) VALUES {values} ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    let mut query = sqlx::query(AssertSqlSafe(text));
    for (key, value) in rows.iter().chain(std::iter::repeat(last)).take(count) {
        query = query.bind(*key).bind(*value);
    }
    query.execute(connection).await.map_err(failed)?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, keys: &[&str]) -> Result<(), Error> {
    let Some(last) = keys.last() else { return Ok(()) };
    let count = padded(keys.len());
    let mut query =
        sqlx::query(AssertSqlSafe(format!("DELETE FROM kv WHERE key IN ({})", vec!["?"; count].join(", "))));
    for key in keys.iter().chain(std::iter::repeat(last)).take(count) {
        query = query.bind(*key);
    }
    query.execute(connection).await.map_err(failed)?;
    Ok(())
}

/// Rows are repeated up to a power of two, so that a few prepared statements serve commits of every size.
fn padded(count: usize) -> usize {
    count.checked_next_power_of_two().unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn w(key: &str, value: &[u8]) -> Write {
        Write::Put { key: key.into(), value: value.into() }
    }

    fn d(key: &str) -> Write {
        Write::Delete { key: key.into() }
    }

    #[tokio::test]
    async fn what_was_committed_comes_back_in_order_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.sqlite");
        let store = Sqlite::open(&path).await.unwrap();
        let many: Vec<_> = (0..300).map(|number| w(&format!("c/{number:03}"), &[1])).collect();
        store.commit(&many).await.unwrap();
        store.commit(&[w("c/001", b"new"), d("c/002"), w("d", b"x"), d("c/3"), w("c/002", b"back")]).await.unwrap();
        store.commit(&[w("c/004", b"gone"), d("c/004")]).await.unwrap();
        store.close().await.unwrap();

        let store = Sqlite::open(&path).await.unwrap();
        let entries = store.load("c/").await.unwrap();
        assert_eq!(entries.len(), 299);
        assert!(entries.is_sorted());
        assert_eq!(entries[1], ("c/001".into(), b"new".to_vec()));
        assert_eq!(entries[2], ("c/002".into(), b"back".to_vec()));
        assert_eq!(store.load("").await.unwrap().len(), 300);
        assert!(store.load("c_").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn two_hubs_cannot_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.sqlite");
        let first = Sqlite::open(&path).await.unwrap();
        let error = Sqlite::open(&path).await.unwrap_err();
        assert_eq!(error.code(), Code::StorageLocked);
        assert!(error.to_string().contains("another hub"), "{error}");
        first.close().await.unwrap();
        Sqlite::open(&path).await.unwrap();
    }

    #[tokio::test]
    async fn an_older_format_is_raised_and_a_newer_one_is_refused_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.sqlite");
        let store = Sqlite::open(&path).await.unwrap();
        store.commit(&[w("c/1", b"kept")]).await.unwrap();
        assert_eq!(store.fact("format").await.unwrap(), Some(FORMAT.to_string()));
        // As the next build opens it.
        store.check_format(&path, FORMAT + 1).await.unwrap();
        assert_eq!(store.fact("format").await.unwrap(), Some((FORMAT + 1).to_string()));
        store.close().await.unwrap();
        assert_eq!(store.commit(&[w("a", b"")]).await.unwrap_err().code(), Code::StorageFailed);

        let before = std::fs::read(&path).unwrap();
        assert_eq!(Sqlite::open(&path).await.unwrap_err().code(), Code::StorageVersion);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        for nonsense in ["0", "", "one", "-1"] {
            let connection = SqliteConnectOptions::new().filename(&path).connect().await;
            let mut connection = connection.unwrap();
            let text = "UPDATE meta SET value = ? WHERE key = 'format'";
            sqlx::query(text).bind(nonsense).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            assert_eq!(Sqlite::open(&path).await.unwrap_err().code(), Code::StorageCorrupt, "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn tables_of_a_newer_build_are_refused_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.sqlite");
        let store = Sqlite::open(&path).await.unwrap();
        let text = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 1)";
        store.lock().await.unwrap().connection().unwrap().execute(text).await.unwrap();
        store.close().await.unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(Sqlite::open(&path).await.unwrap_err().code(), Code::StorageVersion);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    #[ignore = "a measurement: cargo test -p farthing-hub --release -- --ignored --nocapture commit_time"]
    async fn commit_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("hub.sqlite")).await.unwrap();
        let mut times = Vec::new();
        for round in 0..2_000_u32 {
            let writes: Vec<_> = (0..10).map(|row| w(&format!("c/{row}/log/{round:016}"), &[7; 300])).collect();
            let start = std::time::Instant::now();
            store.commit(&writes).await.unwrap();
            times.push(start.elapsed());
        }
        times.sort();
        println!("10 writes of 300 bytes: p50 {:?}, p99 {:?}", times[1_000], times[1_980]);
    }
}
