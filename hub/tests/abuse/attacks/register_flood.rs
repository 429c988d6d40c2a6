//! Channels that nobody will ever put money into, registered from many addresses.

use crate::field::{Field, address};
use crate::hammer::{hammer, request};
use serde_json::json;
use std::sync::Arc;

const CONNECTIONS: usize = 100;
const ADDRESSES: usize = 50;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    field.begin().await;
    let registering = Arc::clone(&field);
    let question = move |connection: usize, _| {
        let config = registering.channel(address(connection % ADDRESSES));
        request("farthing_register", &json!({ "channel": config.def, "publicKey": config.key.public_key() }))
    };
    hammer(&field, CONNECTIONS, ADDRESSES, Arc::new(question)).await;
    Ok(())
}
