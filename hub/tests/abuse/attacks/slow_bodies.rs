//! Requests and frames that are announced in full length and come a byte at a time.

use super::http_unread::tcp;
use crate::field::Field;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 400;
const ADDRESSES: usize = 2;
const BODY: &[u8] = b"POST / HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n[";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nhost: hub\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// A text frame of 60,000 bytes, masked with zeros.
const FRAME: &[u8] = &[0x81, 0xfe, 0xea, 0x60, 0, 0, 0, 0];

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    field.begin().await;
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let field = Arc::clone(&field);
        tasks.spawn(async move {
            while !field.is_over() {
                if let Ok(mut stream) = tcp(&field.url, number % ADDRESSES).await {
                    field.tried(1);
                    let _ = if number % 2 == 0 { body(&mut stream).await } else { frame(&mut stream).await };
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    field.over().await;
    tasks.shutdown().await;
    Ok(())
}

async fn body(stream: &mut tokio::net::TcpStream) -> std::io::Result<()> {
    stream.write_all(BODY).await?;
    drip(stream).await
}

async fn frame(stream: &mut tokio::net::TcpStream) -> std::io::Result<()> {
    stream.write_all(UPGRADE).await?;
    let mut answer = [0; 512];
    let _size = stream.read(&mut answer).await?;
    stream.write_all(FRAME).await?;
    drip(stream).await
}

async fn drip(stream: &mut tokio::net::TcpStream) -> std::io::Result<()> {
    loop {
        stream.write_all(b" ").await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
