//! The same withdrawals proposed again and again, each with the wish that the hub sends it.

use crate::field::{Field, address};
use crate::hammer::repeat;
use crate::stage::counted;
use alloy_primitives::{Address, Bytes};
use farthing_hub::clock;
use farthing_protocol::message::Message;
use farthing_protocol::{Amount, ETH};
use std::sync::Arc;

const ATTACKERS: usize = 4;
const REPEATED: usize = 100;
const STAKE: Amount = Amount::new(10);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let configs: Vec<_> = (0..ATTACKERS).map(|number| field.channel(address(number))).collect();
    field.deposit(&configs, STAKE).await;
    let mut ready = Vec::new();
    for config in configs {
        let client = field.wallet(config.clone()).await?;
        counted(&field.url, &config, STAKE).await;
        client.when("the deposit counts", |wallet| wallet.balance(ETH).available >= STAKE).await;
        let deadline = clock::now() + 3_000;
        // Without the owner's signature it can't be mined.
        let elsewhere = Address::repeat_byte(0xee);
        let proposed = client.run(move |wallet| {
            let withdrawal = wallet.withdraw(ETH, Amount::new(1), elsewhere, Bytes::new(), deadline, true).ok()?;
            let signed = wallet.channel().state().assets.get(&ETH)?.withdrawals.first()?.clone();
            Some((withdrawal, signed))
        });
        let (withdrawal, signed) = proposed.await.ok_or("the wallet does not propose it")?;
        let signature = signed.signatures.a.ok_or("the wallet has not signed it")?;
        let owner_signature = signed.owner_signature;
        let message = Message::WithdrawProposal { withdrawal, signature, owner_signature, submit: true };
        client.end().await;
        ready.push((config, vec![message; REPEATED]));
    }
    field.begin().await;
    repeat(&field, ready).await;
    Ok(())
}
