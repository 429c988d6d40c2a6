//! The hub starts again with as many channels as strangers could register, before an RPC that is far away.

use crate::field::{Field, address};
use crate::support::http;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ADDRESSES: usize = 6;
const EACH: usize = 190;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let mut registered = 0;
    for number in 0..ADDRESSES {
        let mut socket = field.socket(address(number)).await?;
        for _ in 0..EACH {
            let config = field.channel(address(number));
            registered += u64::from(field.register(&mut socket, &config).await.is_ok());
        }
    }
    field.tried(registered);
    field.begin().await;
    let start = Instant::now();
    field.hub.restart().await;
    let listening = start.elapsed();
    let ready = async || {
        let answer = http().get(format!("{}/ready", field.url)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    while !field.is_over() && !ready().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = start.elapsed();
    field.note(format!("{registered} unfunded channels: listening after {listening:.1?}, ready after {ready:.1?}"));
    field.over().await;
    Ok(())
}
