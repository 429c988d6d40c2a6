//! Connections that say nothing, or a byte a second, while the hub needs new ones to its RPC.

use super::http_unread::tcp;
use crate::field::Field;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 1_500;
const MANY: usize = 750;
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: hub\r\nx-patience: a header that takes its time and does not end\r\n";

/// All from one address.
pub async fn of_one(field: Arc<Field>) -> Result<(), String> {
    run(field, 1).await
}

/// Two from each address.
pub async fn of_many(field: Arc<Field>) -> Result<(), String> {
    run(field, MANY).await
}

async fn run(field: Arc<Field>, addresses: usize) -> Result<(), String> {
    field.begin().await;
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let field = Arc::clone(&field);
        tasks.spawn(async move {
            while !field.is_over() {
                if let Ok(stream) = tcp(&field.url, number % addresses).await {
                    field.tried(1);
                    let (mut read, mut write) = stream.into_split();
                    let mut answer = [0; 256];
                    tokio::select! {
                        () = drip(&mut write, number % 4 == 0) => {}
                        // Told to go, or hung up on.
                        _ = read.read(&mut answer) => {}
                    }
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
    }
    field.over().await;
    tasks.shutdown().await;
    Ok(())
}

async fn drip(stream: &mut (impl AsyncWriteExt + Unpin), speaks: bool) {
    if !speaks {
        return std::future::pending().await;
    }
    for byte in HEAD {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
