//! No block comes, while a transaction of the hub's waits for one: what is it ready to pay?

use crate::field::{Field, address};
use crate::meter::{number, pool};
use crate::stage::{HUB, MILLI};
use farthing_protocol::Amount;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const STAKE: Amount = Amount::new(500 * MILLI);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let config = field.channel(address(0));
    field.deposit(std::slice::from_ref(&config), STAKE).await;
    let mut socket = field.socket(config.from).await?;
    field.enter(&mut socket, &config).await?;
    let account = field.chain.accounts[HUB];
    let waiting = async || pool(&field.chain, account).await.iter().map(|call| number(&call["maxFeePerGas"])).max();
    // The hub's collateral, which needs a final deposit; then blocks end.
    let mut first = None;
    for _ in 0..100 {
        first = waiting().await;
        if first.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    field.pace.store(0, Ordering::Relaxed);
    field.begin().await;
    let (mut most, mut rounds) = (first.unwrap_or_default(), 0);
    while !field.is_over() {
        if let Some(fee) = waiting().await {
            (most, rounds) = (most.max(fee), rounds + 1);
            first = first.or(Some(fee));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    field.tried(rounds);
    let first = first.unwrap_or_default();
    field.note(format!("the fee per gas that the hub offers: {first} wei at first, {most} wei in the end"));
    field.pace.store(100, Ordering::Relaxed);
    Ok(())
}
