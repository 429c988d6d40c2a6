//! Frames that are no requests, too deep, too long, or nearly right.

use crate::field::{Field, address};
use crate::hammer::{hammer, request};
use farthing_protocol::api::limits::MAX_MESSAGE;
use serde_json::json;
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

const CONNECTIONS: usize = 100;
const ADDRESSES: usize = 3;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    // A channel that they may speak for, so that some of it gets as far as the machine.
    let config = field.channel(address(0));
    let mut socket = field.socket(config.from).await?;
    field.enter(&mut socket, &config).await?;
    drop(socket);
    let frames = frames(&json!(config.id()));
    let choice = field.choose("malformed", frames.len() as u64);
    field.begin().await;
    let question = move |connection: usize, round: u64| {
        let place = (connection as u64 + round + choice) % frames.len() as u64;
        frames[place as usize].clone()
    };
    hammer(&field, CONNECTIONS, ADDRESSES, Arc::new(question)).await;
    Ok(())
}

fn frames(channel: &serde_json::Value) -> Vec<Message> {
    let text = |text: String| Message::Text(text.into());
    let update =
        json!({ "type": "update", "asset": "0x0000000000000000000000000000000000000000", "update": { "ops": [{}] } });
    vec![
        text("nonsense".into()),
        text("[".repeat(60_000)),
        text("{\"a\":".repeat(12_000)),
        text(format!("\"{}\"", "\\u0000".repeat(10_000))),
        text("x".repeat(MAX_MESSAGE + 1)),
        text("x".repeat(MAX_MESSAGE * 2 + 1)),
        text(" ".repeat(MAX_MESSAGE * 16)),
        text(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"farthing_config\"}}", "9".repeat(60_000))),
        Message::Binary(vec![0xff; MAX_MESSAGE].into()),
        Message::Ping(vec![0; 125].into()),
        text(json!([{ "jsonrpc": "2.0", "id": 1, "method": "farthing_config" }]).to_string()),
        request("farthing_steal", &json!({})),
        request("farthing_messages", &json!({ "channelId": channel, "messages": vec![&update; 200] })),
        request("farthing_attach", &json!({ "channelId": channel, "signature": format!("0x{}", "00".repeat(65)) })),
        request("farthing_register", &json!({ "channel": {}, "publicKey": "0x04" })),
        request("farthing_backupPut", &json!({ "channelId": channel, "backup": "0x" })),
        request("farthing_lane", &json!({ "channelId": channel, "asset": 5, "payer": 7, "from": 1 << 20 })),
    ]
}
