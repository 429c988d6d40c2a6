//! One wei at a time, sent by the hub at its gas.

use crate::field::{Field, address};
use crate::stage::{MILLI, counted};
use crate::support::Client;
use farthing_hub::clock;
use farthing_protocol::{Amount, ETH};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const ATTACKERS: usize = 3;
const STAKE: Amount = Amount::new(MILLI);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let configs: Vec<_> = (0..ATTACKERS).map(|number| field.channel(address(number))).collect();
    field.deposit(&configs, STAKE).await;
    let mut clients = Vec::new();
    for config in configs {
        let client = field.wallet(config).await?;
        counted(&field.url, &client.config, STAKE).await;
        clients.push(Arc::new(client));
    }
    field.begin().await;
    let mut tasks = JoinSet::new();
    for client in &clients {
        tasks.spawn(take(Arc::clone(&field), Arc::clone(client)));
    }
    field.over().await;
    tasks.shutdown().await;
    field.left.lock().unwrap().clients.extend(clients.into_iter().filter_map(Arc::into_inner));
    Ok(())
}

async fn take(field: Arc<Field>, client: Arc<Client>) {
    let owner = client.config.def.a.owner;
    while !field.is_over() {
        let deadline = clock::now() + 3_000;
        let asked = client.run(move |wallet| {
            let none = alloy_primitives::Bytes::new();
            wallet.withdraw(ETH, Amount::new(1), owner, none, deadline, true).is_ok()
        });
        // Refused while others wait for their blocks, or for good.
        if asked.await {
            field.tried(1);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
