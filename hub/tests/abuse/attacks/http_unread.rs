//! HTTP batches of questions with long answers, which nobody reads.

use super::backup_put::kept;
use crate::field::{Field, address};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 300;
const ADDRESSES: usize = 2;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let (config, _socket) = kept(&field).await?;
    let ask = |id| match id % 2 {
        0 => {
            json!({ "jsonrpc": "2.0", "id": id, "method": "farthing_backupGet", "params": { "channelId": config.id() } })
        }
        _ => json!({ "jsonrpc": "2.0", "id": id, "method": "rpc.discover" }),
    };
    let body = Value::from((0..64).map(ask).collect::<Vec<_>>()).to_string();
    let head =
        format!("POST / HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    let request = format!("{head}\r\n\r\n{body}");
    field.begin().await;
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (field, request) = (Arc::clone(&field), request.clone());
        tasks.spawn(async move {
            while !field.is_over() {
                if let Ok(mut stream) = tcp(&field.url, number % ADDRESSES).await {
                    // One after the other, until nothing more goes through.
                    while stream.write_all(request.as_bytes()).await.is_ok() {
                        field.tried(64);
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    field.over().await;
    tasks.shutdown().await;
    Ok(())
}

/// A bare connection from one of the attackers' addresses.
pub async fn tcp(url: &str, number: usize) -> std::io::Result<TcpStream> {
    let to: SocketAddr = url.trim_start_matches("http://").parse().map_err(std::io::Error::other)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address(number), 0)))?;
    let connected = tokio::time::timeout(Duration::from_secs(2), socket.connect(to)).await;
    connected.map_err(std::io::Error::other)?
}
