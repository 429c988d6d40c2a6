//! No attack: a customer pays a merchant, who takes all of it home and is paid again, until the sum is far above what
//! the hub would ever have in one channel at once.

use crate::field::{Field, address};
use crate::honest::{arrives, offer};
use crate::stage::{MAX_COLLATERAL, MILLI, counted};
use crate::support::Client;
use crate::support::client::payee;
use farthing_hub::clock;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::wallet::Wallet;
use farthing_protocol::{Amount, ETH, Sides};
use std::sync::Arc;
use std::time::{Duration, Instant};

const STAKE: Amount = Amount::new(9_000 * MILLI);
const PAID: u128 = 1_500 * MILLI;
const PATIENCE: Duration = Duration::from_secs(12);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let configs = [field.channel(address(0)), field.channel(address(1))];
    field.deposit(&configs, STAKE).await;
    let [customer, merchant] = configs;
    let customer = field.wallet(customer).await?;
    let merchant = field.wallet(merchant).await?;
    for client in [&customer, &merchant] {
        counted(&field.url, &client.config, STAKE).await;
    }
    customer.when("the deposit counts", |wallet| wallet.balance(ETH).available >= STAKE).await;
    let to = payee(&field.url, merchant.config.key.address()).await;
    field.begin().await;
    let (mut paid, mut why) = (0, None);
    let rounds = MAX_COLLATERAL / PAID + 2;
    for _ in 0..rounds {
        field.tried(1);
        let arrived = match offer(&customer, &to, Amount::new(PAID)).await {
            Ok(id) => hurried(&field, arrives(&customer, id, PATIENCE)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = arrived {
            why = Some(error);
            break;
        }
        paid += PAID;
        // So much of it as there is, the deposit too.
        if !hurried(&field, take_home(&field, &merchant)).await {
            why = Some("the merchant can't take the money home".to_owned());
            break;
        }
    }
    field.note(format!("{} of {rounds} payments of 1.5 ETH", paid / PAID));
    {
        let mut left = field.left.lock().unwrap();
        left.failed += u64::from(why.is_some());
        left.notes.extend(why);
        left.clients.extend([customer, merchant]);
    }
    field.over().await;
    Ok(())
}

/// Blocks come faster meanwhile: a round would take longer than all the time that there is.
async fn hurried<T>(field: &Field, future: impl Future<Output = T>) -> T {
    let blocks = async {
        loop {
            field.chain.mine(1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        done = future => done,
        () = blocks => unreachable!("blocks do not end"),
    }
}

async fn take_home(field: &Field, merchant: &Client) -> bool {
    let owner = merchant.config.def.a.owner;
    let before = field.chain.state(merchant.id.0, ETH).await.withdrawnA;
    let start = Instant::now();
    let (mut asked, mut sent) = (false, false);
    while start.elapsed() < PATIENCE {
        if !asked {
            let deadline = clock::now() + 3_000;
            asked = merchant
                .run(move |wallet| {
                    let all = wallet.balance(ETH).available;
                    let none = alloy_primitives::Bytes::new();
                    all >= Amount::new(PAID) && wallet.withdraw(ETH, all, owner, none, deadline, false).is_ok()
                })
                .await;
        }
        // A merchant with so much to take home pays the gas of it.
        if asked
            && !sent
            && let Some(call) = merchant.run(signed).await
        {
            field.send(owner, call.calldata(|_| merchant.id).to_vec(), 0).await;
            sent = true;
        }
        if field.chain.state(merchant.id.0, ETH).await.withdrawnA > before {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// The withdrawal that both have signed.
fn signed(wallet: &mut Wallet) -> Option<ChainCall> {
    let channel = *wallet.channel().def();
    wallet.channel().state().assets.get(&ETH)?.withdrawals.iter().find_map(|signed| {
        let signatures = Sides { a: signed.signatures.a?, b: signed.signatures.b? };
        let (withdrawal, owner_signature) = (signed.withdrawal, signed.owner_signature.clone());
        Some(ChainCall::Withdraw { channel, withdrawal, signatures, owner_signature })
    })
}
