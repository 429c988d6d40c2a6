//! Many channels with a thousand wei each, for which the hub is to put its own money in.

use crate::field::{Field, address};
use farthing_protocol::Amount;
use std::sync::Arc;

const CHANNELS: usize = 60;
const STAKE: Amount = Amount::new(1_000);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    field.begin().await;
    let configs: Vec<_> = (0..CHANNELS).map(|number| field.channel(address(number % 4))).collect();
    field.deposit(&configs, STAKE).await;
    field.tried(CHANNELS as u64);
    let mut sockets = Vec::new();
    for config in &configs {
        if let Ok(mut socket) = field.socket(config.from).await {
            // Whoever is connected may be worth more to the hub.
            let _ = field.enter(&mut socket, config).await;
            sockets.push(socket);
        }
    }
    field.over().await;
    Ok(())
}
