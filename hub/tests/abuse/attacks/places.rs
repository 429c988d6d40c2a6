//! Channels without money, attached so that they are of use, hold all places that the hub has for such channels.

use crate::field::{Field, address};
use crate::support::client::Socket;
use std::sync::Arc;
use std::time::Duration;

const ADDRESSES: usize = 6;
/// Below the burst of registrations that an address has.
const EACH: usize = 190;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let (mut sockets, mut held): (Vec<Socket>, u64) = (Vec::new(), 0);
    for number in 0..ADDRESSES {
        for place in 0..EACH {
            // A connection attaches at most 64 channels.
            if place % 64 == 0 {
                sockets.push(field.socket(address(number)).await?);
            }
            let config = field.channel(address(number));
            if let Some(socket) = sockets.last_mut() {
                held += u64::from(field.enter(socket, &config).await.is_ok());
            }
        }
    }
    field.note(format!("{held} unfunded channels are attached; there are 1,000 places"));
    field.tried(held);
    field.begin().await;
    // They answer pings, and take every place that gets free.
    while !field.is_over() {
        for number in 0..ADDRESSES {
            let config = field.channel(address(number));
            if let Ok(mut socket) = field.socket(config.from).await {
                field.tried(1);
                if field.enter(&mut socket, &config).await.is_ok() {
                    sockets.push(socket);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}
