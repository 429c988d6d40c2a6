//! Many small payments and a few large ones to a payee who takes them; their payer goes away and redeems nothing. The
//! hub has to get the evidence of all of them on chain before they expire.

use crate::ending::open_locks;
use crate::field::{Field, address};
use crate::stage::{MILLI, counted};
use crate::support::client::{payee, request};
use farthing_hub::clock;
use farthing_protocol::wallet::Status;
use farthing_protocol::{Amount, ETH};
use std::sync::Arc;
use std::time::Duration;

/// About 2 ETH in all.
const PAYER: u128 = 1_900 * MILLI;
const PAYEE: u128 = 50 * MILLI;
const SMALL: usize = 400;
const LARGE: usize = 3;
const SMALL_PRICE: Amount = Amount::new(MILLI);
const LARGE_PRICE: Amount = Amount::new(450 * MILLI);
const LIFE: u64 = 7_200;

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let (payer, taker) = (field.channel(address(0)), field.channel(address(1)));
    field.deposit(std::slice::from_ref(&payer), Amount::new(PAYER)).await;
    field.deposit(std::slice::from_ref(&taker), Amount::new(PAYEE)).await;
    let payer = field.wallet(payer).await?;
    let taker = field.wallet(taker).await?;
    counted(&field.url, &taker.config, Amount::new(PAYEE)).await;
    payer.when("the deposit counts", |wallet| wallet.balance(ETH).available >= Amount::new(PAYER)).await;
    let to = payee(&field.url, taker.config.key.address()).await;
    // The payee is away, so that all of them are held and come at once.
    let config = taker.config.clone();
    taker.end().await;
    let mut ids = Vec::new();
    let expiry = clock::now() + LIFE;
    for number in 0..SMALL + LARGE {
        let mut asked = request(to.clone(), ETH, if number < SMALL { SMALL_PRICE } else { LARGE_PRICE });
        asked.expiry = expiry;
        if let Ok(id) = payer.run(move |wallet| wallet.pay(asked, clock::now())).await {
            ids.push(id);
            field.tried(1);
        }
        if number % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let mut held = 0;
    for _ in 0..100 {
        let all = ids.clone();
        held = payer
            .run(move |wallet| {
                let is_held = |id| wallet.payment(id).is_some_and(|payment| payment.status != Status::Pending);
                all.iter().filter(|id| is_held(id)).count()
            })
            .await;
        if held == ids.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let locks = open_locks(&payer).await;
    field.left.lock().unwrap().locks.extend(locks);
    // The payer is gone for good; its payee comes.
    payer.end().await;
    field.begin().await;
    let taker = field.resume(config).await?;
    taker.connect(&field.url).await?;
    field.over().await;
    let got = taker.run(|wallet| wallet.balance(ETH).available).await.saturating_minus(Amount::new(PAYEE));
    field.note(format!(
        "{held} payments held; the payee has taken {} of {} milli-ETH",
        got.units() / MILLI,
        SMALL + LARGE * 450
    ));
    field.left.lock().unwrap().clients.push(taker);
    Ok(())
}
