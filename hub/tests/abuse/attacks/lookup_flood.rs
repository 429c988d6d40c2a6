//! Questions that anybody may ask, from many sockets.

use crate::field::Field;
use crate::hammer::{hammer, request};
use alloy_primitives::{Address, keccak256};
use serde_json::json;
use std::sync::Arc;

const CONNECTIONS: usize = 250;
const ADDRESSES: usize = 5;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    field.begin().await;
    let question = |connection: usize, round: u64| {
        let hash = keccak256(format!("{connection}/{round}"));
        match round % 4 {
            0 => request("farthing_lookup", &json!({ "address": Address::from_word(hash) })),
            1 => request("farthing_channel", &json!({ "channelId": hash })),
            2 => request("farthing_challenge", &json!({ "channelId": hash })),
            _ => request("rpc.discover", &json!({})),
        }
    };
    hammer(&field, CONNECTIONS, ADDRESSES, Arc::new(question)).await;
    Ok(())
}
