//! Sockets that ask for long answers and read none of them.

use super::backup_put::kept;
use crate::field::{Field, address};
use crate::hammer::request;
use futures_util::SinkExt;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 250;
const ADDRESSES: usize = 2;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let (config, _socket) = kept(&field).await?;
    field.begin().await;
    let questions =
        [request("farthing_backupGet", &json!({ "channelId": config.id() })), request("rpc.discover", &json!({}))];
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (field, question) = (Arc::clone(&field), questions[number % questions.len()].clone());
        tasks.spawn(async move {
            while !field.is_over() {
                if let Ok(mut socket) = field.socket(address(number % ADDRESSES)).await {
                    while socket.send(question.clone()).await.is_ok() {
                        field.tried(1);
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
