//! Locks without a payee: of one wei, which is less than the least payment, of the least payment, and for somebody whom
//! the hub does not know. They stay until they expire, and nobody releases them.

use crate::field::{Field, address};
use crate::lanes::{PayersLane, lock};
use crate::stage::{MIN_PAYMENT, counted};
use alloy_primitives::Address;
use farthing_hub::clock;
use farthing_protocol::Amount;
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use tokio::task::JoinSet;

const ATTACKERS: usize = 3;
/// The default most of a lane.
const LOCKS: u16 = 4_096;
const STAKE: Amount = Amount::new(MIN_PAYMENT * LOCKS as u128);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let configs: Vec<_> = (0..ATTACKERS).map(|number| field.channel(address(number))).collect();
    field.deposit(&configs, STAKE).await;
    let mut ready = Vec::new();
    for config in configs {
        let mut socket = field.socket(config.from).await?;
        field.enter(&mut socket, &config).await?;
        counted(&field.url, &config, STAKE).await;
        ready.push((socket, config));
    }
    field.begin().await;
    let mut tasks = JoinSet::new();
    for (number, (socket, config)) in ready.into_iter().enumerate() {
        let field = Arc::clone(&field);
        let amount = Amount::new(if number == 0 { 1 } else { MIN_PAYMENT });
        let to = (number == 2).then(|| Address::from_word(field.secret()));
        tasks.spawn(async move {
            let (mut sink, stream) = socket.split();
            Field::ignore(stream);
            let mut lane = PayersLane::new(config);
            let expiry = clock::now() + 2_500;
            for first in (0..LOCKS).step_by(24) {
                let slots = first..(first + 24).min(LOCKS);
                let count = slots.len() as u64;
                let ops = slots.map(|slot| lock(slot, field.secret(), amount, to, expiry)).collect();
                for frame in lane.update(ops) {
                    if field.is_over() || sink.send(frame).await.is_err() {
                        return;
                    }
                }
                field.tried(count);
            }
            field.over().await;
        });
    }
    field.over().await;
    tasks.shutdown().await;
    Ok(())
}
