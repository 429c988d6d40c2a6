//! Updates that somebody else signed, again and again: each costs the hub a recovery.

use crate::field::{Field, address};
use crate::hammer::repeat;
use crate::lanes::PayersLane;
use crate::stage::counted;
use farthing_protocol::Amount;
use farthing_protocol::ETH;
use farthing_protocol::lane::Op;
use farthing_protocol::message::Message;
use farthing_protocol::sign::SecretKey;
use std::sync::Arc;

const ATTACKERS: usize = 5;
const STAKE: Amount = Amount::new(1);

pub async fn run(field: Arc<Field>) -> Result<(), String> {
    let configs: Vec<_> = (0..ATTACKERS).map(|number| field.channel(address(number))).collect();
    field.deposit(&configs, STAKE).await;
    let stranger = SecretKey::derive("a stranger", b"1").unwrap();
    let mut ready = Vec::new();
    for config in configs {
        let mut socket = field.socket(config.from).await?;
        field.enter(&mut socket, &config).await?;
        counted(&field.url, &config, STAKE).await;
        let mut lane = PayersLane::new(config.clone());
        let update = lane.next(vec![Op::Transfer { amount: STAKE, memo: String::new() }], &stranger);
        ready.push((config, vec![Message::Update { asset: ETH, update }; 90]));
    }
    field.begin().await;
    repeat(&field, ready).await;
    Ok(())
}
