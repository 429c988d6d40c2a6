//! Many stored backups, and many who ask for backups of channels that do not exist.

use super::backup_put::blob;
use crate::field::{Field, address};
use crate::hammer::{hammer, request};
use alloy_primitives::keccak256;
use serde_json::json;
use std::sync::Arc;

const ADDRESSES: usize = 4;
/// Below the burst of registrations that an address has.
const EACH: usize = 100;
const CONNECTIONS: usize = 128;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let blob = blob();
    let mut stored = 0;
    for number in 0..ADDRESSES {
        let mut socket = field.socket(address(number)).await?;
        for place in 0..EACH {
            // A connection attaches at most 64 channels.
            if place % 60 == 59 {
                socket = field.socket(address(number)).await?;
            }
            let config = field.channel(address(number));
            field.enter(&mut socket, &config).await?;
            let put = json!({ "channelId": config.id(), "backup": blob });
            stored += u32::from(field.call(&mut socket, "farthing_backupPut", put).await.is_ok());
        }
    }
    field.note(format!("{stored} backups stored"));
    field.begin().await;
    let question = |connection: usize, round: u64| {
        let unknown = keccak256(format!("{connection}/{round}"));
        request("farthing_backupGet", &json!({ "channelId": unknown }))
    };
    hammer(&field, CONNECTIONS, ADDRESSES, Arc::new(question)).await;
    Ok(())
}
