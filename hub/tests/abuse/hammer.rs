//! Many connections that ask as fast as they are answered, and come back when they are thrown out.

use crate::field::{Field, address};
use crate::lanes::frames;
use crate::support::ClientConfig;
use crate::support::client::Socket;
use farthing_protocol::message as peer;
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// What a connection says next, by the number of its connection and of the question.
pub type Question = Arc<dyn Fn(usize, u64) -> Message + Send + Sync>;

/// So many connections, from so many addresses, until the time is up.
pub async fn hammer(field: &Arc<Field>, connections: usize, addresses: usize, question: Question) {
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let (field, question) = (Arc::clone(field), Arc::clone(&question));
        tasks.spawn(async move {
            while !field.is_over() {
                if let Ok(socket) = field.socket(address(number % addresses)).await {
                    ask(&field, socket, number, &question).await;
                } else {
                    field.tried(1);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    field.over().await;
    tasks.shutdown().await;
}

async fn ask(field: &Field, mut socket: Socket, number: usize, question: &Question) {
    for round in 0.. {
        if field.is_over() || socket.send(question(number, round)).await.is_err() {
            return;
        }
        field.tried(1);
        // Pings come in between; any frame will do.
        let next = tokio::time::timeout(Duration::from_secs(2), socket.next()).await;
        if let Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) = next {
            return;
        }
    }
}

/// Clients that prove their keys and then send the same messages over and over, and come back when they are thrown out.
pub async fn repeat(field: &Arc<Field>, ready: Vec<(ClientConfig, Vec<peer::Message>)>) {
    let mut tasks = JoinSet::new();
    for (config, messages) in ready {
        let field = Arc::clone(field);
        let frames = frames(config.id(), &messages);
        let each = (messages.len() / frames.len()) as u64;
        tasks.spawn(async move {
            while !field.is_over() {
                if let Ok(mut socket) = field.socket(config.from).await
                    && field.enter(&mut socket, &config).await.is_ok()
                {
                    let (mut sink, stream) = socket.split();
                    Field::ignore(stream);
                    for frame in frames.iter().cycle() {
                        if field.is_over() || sink.send(frame.clone()).await.is_err() {
                            break;
                        }
                        field.tried(each);
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    field.over().await;
    tasks.shutdown().await;
}

/// A request, as a frame.
pub fn request(method: &str, params: &serde_json::Value) -> Message {
    let request = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    Message::Text(request.to_string().into())
}
