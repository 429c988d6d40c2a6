//! The hub's account is emptied into channels of sleepers until a deposit takes all that is left of it and nothing
//! can be paid for any more. Meanwhile a thief, who has paid the hub for something, leaves with nothing to show.

use crate::field::{Field, address};
use crate::honest::{arrives, offer};
use crate::stage::{COLLATERAL, HUB, MILLI, counted};
use crate::support::client::payee;
use farthing_protocol::wallet::Payee;
use farthing_protocol::{Amount, ETH};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// About 2 ETH in all.
const PAYER: u128 = 1_600 * MILLI;
const THIEF: u128 = 300 * MILLI;
const SLEEPER: u128 = 1;
/// What is left to the hub's account for gas, in wei.
const LEFT: u128 = 1_000;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let (payer, thief) = (field.channel(address(0)), field.channel(address(1)));
    field.deposit(std::slice::from_ref(&payer), Amount::new(PAYER)).await;
    field.deposit(std::slice::from_ref(&thief), Amount::new(THIEF)).await;
    let payer = field.wallet(payer).await?;
    let thief = field.wallet(thief).await?;
    counted(&field.url, &thief.config, Amount::new(THIEF)).await;
    thief.when("the deposit counts", |wallet| wallet.balance(ETH).available >= Amount::new(THIEF)).await;
    // Something worth having, paid for in full.
    let id = offer(&thief, &Payee::Hub, Amount::new(THIEF)).await?;
    arrives(&thief, id, Duration::from_secs(10)).await?;
    field.left.lock().unwrap().sold += THIEF;
    thief.end().await;

    // Sleepers until what is left is less than the payer can pay, and still more than a step of collateral.
    let left = settled(&field).await.saturating_sub(PAYER * 15 / 16);
    let wanted = left.div_ceil(COLLATERAL).min(12);
    let sleepers: Vec<_> = (0..wanted.max(1)).map(|_| field.channel(address(2))).collect();
    field.deposit(&sleepers, Amount::new(SLEEPER)).await;
    let mut clients = Vec::new();
    for config in sleepers {
        clients.push(field.wallet(config).await?);
    }
    settled(&field).await;
    field.begin().await;
    while !field.is_over() {
        let left = account(&field).await;
        let amount = Amount::new(left.saturating_sub(LEFT).min(PAYER * 99 / 100));
        for sleeper in &clients {
            let to = payee(&field.url, sleeper.config.key.address()).await;
            if offer(&payer, &to, amount).await.is_ok() {
                field.tried(1);
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    field.note(format!("the hub's account has {} wei left", account(&field).await));
    let mut left = field.left.lock().unwrap();
    left.clients.push(payer);
    left.clients.extend(clients);
    Ok(())
}

/// What the hub's account has.
async fn account(field: &Field) -> u128 {
    u128::try_from(field.chain.balance(field.chain.accounts[HUB], ETH).await).unwrap_or_default()
}

/// The same, when nothing has changed for some blocks.
async fn settled(field: &Field) -> u128 {
    let (mut has, mut since) = (account(field).await, Instant::now());
    let start = since;
    while since.elapsed() < Duration::from_secs(4) && start.elapsed() < Duration::from_secs(15) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = account(field).await;
        if now != has {
            (has, since) = (now, Instant::now());
        }
    }
    has
}
