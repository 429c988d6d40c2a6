//! Channels that cost nothing put backups as long as they may be, as fast as they are taken: all of the store's time.

use crate::field::{Field, address};
use crate::support::ClientConfig;
use crate::support::client::Socket;
use farthing_protocol::api::limits::MAX_BACKUP;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

const CHANNELS: usize = 120;
const ADDRESSES: usize = 2;

/// The longest backup that is kept.
pub fn blob() -> String {
    format!("0x{}", "ab".repeat(MAX_BACKUP))
}

/// A channel whose backup is kept, and the connection that it is attached to.
pub async fn kept(field: &Field) -> Result<(ClientConfig, Socket), String> {
    let config = field.channel(address(0));
    let mut socket = field.socket(config.from).await?;
    field.enter(&mut socket, &config).await?;
    let put = json!({ "channelId": config.id(), "backup": blob() });
    field.call(&mut socket, "farthing_backupPut", put).await?;
    Ok((config, socket))
}

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let blob = blob();
    let mut sockets = Vec::new();
    for number in 0..CHANNELS {
        let config = field.channel(address(number % ADDRESSES));
        let mut socket = field.socket(config.from).await?;
        field.enter(&mut socket, &config).await?;
        sockets.push((socket, config.id()));
    }
    field.begin().await;
    let mut tasks = JoinSet::new();
    for (mut socket, id) in sockets {
        let (field, params) = (Arc::clone(&field), json!({ "channelId": id, "backup": blob }));
        tasks.spawn(async move {
            while !field.is_over() {
                field.tried(1);
                if field.call(&mut socket, "farthing_backupPut", params.clone()).await.is_err() {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
        });
    }
    field.over().await;
    tasks.shutdown().await;
    Ok(())
}
