//! Rules whose breach takes no lane: each is shown by one scenario.

use super::foe::{EXTERNAL, keys};
use super::honest::{hub_config, policy};
use alloy_primitives::Bytes;
use farthing_protocol::Amount;
use farthing_protocol::api::PayeeInfo;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::Channel;
use farthing_protocol::condition::{Condition, sha256};
use farthing_protocol::hub::{Hub, HubEffect, Registration};
use farthing_protocol::lane::{Lane, Op, Update};
use farthing_protocol::message::Message;
use farthing_protocol::proof::{LaneId, SignedProof};
use farthing_protocol::types::{ChannelId, ETH, Side, Sides};
use farthing_protocol::wallet::{PayRequest, Payee, Wallet, WalletConfig, WalletEffect, check_payee};

const NOW: u64 = 1_000_000;

fn funded_wallet() -> Wallet {
    let config =
        WalletConfig { domain: keys().domain, def: keys().wallet_def.0, policy: policy(&[ETH], EXTERNAL, false) };
    let mut wallet = Wallet::new(config, keys().honest.clone()).unwrap();
    let deposits = Sides { a: Amount::new(1_000), b: Amount::ZERO };
    let fact = ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::Open };
    wallet.chain(&fact, NOW);
    wallet.head(Head { number: 9, timestamp: NOW, final_number: 8, final_timestamp: NOW }, NOW);
    wallet
}

fn request(id: [u8; 16], expiry: u64) -> PayRequest {
    let channel = keys().payee_defs[0];
    let info = PayeeInfo { channel, public_key: keys().public[1], binding: None, online: true };
    PayRequest {
        asset: ETH,
        amount: Amount::new(5),
        memo: String::new(),
        to: Payee::Channel { to: channel.a.owner, info },
        expiry,
        id,
        entropy: [7; 32],
    }
}

/// Commits, and what was sent of updates.
fn updates(wallet: &mut Wallet) -> Vec<Update> {
    let mut updates = Vec::new();
    while let Ok(Some(commit)) = wallet.poll_commit(NOW) {
        updates.extend(wallet.committed(commit.durable()).unwrap().into_iter().filter_map(|effect| match effect {
            WalletEffect::Send(Message::Update { update, .. }) => Some(update),
            WalletEffect::Send(_) | WalletEffect::Submit { .. } | WalletEffect::Event(_) => None,
        }));
    }
    updates
}

/// [10] Every payment has a secret of its own. With equal secrets, the hub could collect two payments for one.
pub fn secrets_differ() -> Result<(), String> {
    let mut hashes = Vec::new();
    // Twice from an empty store, as after a restore; and two payments in one commit.
    for round in 0..2_u8 {
        let mut wallet = funded_wallet();
        for payment in 0..2_u8 {
            let request = request([round * 2 + payment; 16], NOW + 3_000 + u64::from(payment));
            wallet.pay(request, NOW).map_err(|error| error.to_string())?;
        }
        for update in updates(&mut wallet) {
            hashes.extend(update.ops.into_iter().filter_map(|op| match op {
                Op::Lock { condition, .. } => Some(condition.params),
                Op::Transfer { .. } | Op::Redeem { .. } | Op::Release { .. } => None,
            }));
        }
    }
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    if hashes.len() == count && count == 4 { Ok(()) } else { Err("two payments have one secret".into()) }
}

/// [11] A payer has one live lock per secret. With two, the peer could collect both with one preimage.
pub fn one_lock_per_secret() -> Result<(), String> {
    let (def, _) = keys().wallet_def;
    let policy = policy(&[ETH], EXTERNAL, false);
    let mut channel = Channel::new(keys().domain, def, Side::A, policy).map_err(|error| error.to_string())?;
    let deposits = Sides { a: Amount::new(1_000), b: Amount::ZERO };
    let fact = ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::Open };
    channel.handle_chain(&fact, NOW);
    channel.handle_head(Head { number: 9, timestamp: NOW, final_number: 8, final_timestamp: NOW });
    for (slot, signed) in [(0, false), (1, false), (2, true)] {
        if signed {
            channel.flush(&keys().honest, NOW);
        }
        let op = Op::Lock {
            slot,
            condition: Condition::hash_lock([5; 32]),
            expiry: NOW + 3_000,
            n: 1,
            unit_price: Amount::new(5),
            to: None,
            envelope: Bytes::new(),
        };
        let accepted = channel.queue(ETH, op, u64::from(slot), NOW).is_ok();
        if accepted != (slot == 0) {
            return Err("two live locks have one secret".into());
        }
    }
    Ok(())
}

/// [19] A secret goes to a key that is bound to the payee. The hub can't put its own in between.
pub fn payee_is_bound() -> Result<(), String> {
    let mut channel = keys().payee_defs[0];
    let victim = keys().honest_owner;
    // The victim is named as the owner, and the signer is the hub's friend.
    channel.a.owner = victim;
    let info = PayeeInfo { channel, public_key: keys().public[1], binding: None, online: true };
    match check_payee(&keys().domain, &channel.b, victim, &info) {
        Err(_) => Ok(()),
        Ok(()) => Err("the secret goes to a key that the payee never named".into()),
    }
}

/// [6] Two payers use one secret, through the hub, towards two payees. Whoever redeems, each payer's own lock is asked
/// for. Paired by their key, one of them would be asked twice and the other never, and the hub would have paid for it.
pub fn locks_are_paired_by_name() -> Result<(), String> {
    let text = |error: farthing_protocol::Error| error.to_string();
    let config = hub_config(keys().domain, keys().honest_owner, &[ETH], policy(&[ETH], EXTERNAL, false), false);
    let mut hub = Hub::new(config, keys().honest.clone());
    let deposits = Sides { a: Amount::new(1_000), b: Amount::new(1_000) };
    let fact = ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::Open };
    for (def, id) in &keys().hub_defs {
        hub.register(Registration { channel: *def, public_key: None, binding: None }).map_err(text)?;
        hub.chain(Some(*id), &fact, NOW);
    }
    hub.head(Head { number: 9, timestamp: NOW, final_number: 8, final_timestamp: NOW }, NOW);
    for (_, id) in &keys().hub_defs {
        hub.connected(*id, NOW).map_err(text)?;
        hub.handle(*id, Message::Sync { lanes: Vec::new() }, NOW).map_err(text)?;
        hub.handle(*id, Message::Funds { asset: ETH, deposits }, NOW).map_err(text)?;
    }
    let secret = [9; 32];
    let condition = Condition::hash_lock(sha256(&secret));
    // The first pays the last, and the second pays the first.
    let (expiry, payees) = (NOW + 3_000, [2, 0]);
    for (payer, payee) in payees.into_iter().enumerate() {
        let op = Op::Lock {
            slot: 0,
            condition: condition.clone(),
            expiry,
            n: 1,
            unit_price: Amount::new(100),
            to: Some(keys().foes[payee].address()),
            envelope: Bytes::new(),
        };
        let mut lane = Lane::default();
        lane.apply(1, core::slice::from_ref(&op)).map_err(text)?;
        let (id, key) = (keys().hub_defs[payer].1, &keys().foes[payer]);
        let lane_id = LaneId { asset: ETH, payer: Side::A };
        let proof = lane.statement(1, 0);
        let signature = SignedProof::sign(proof, &keys().domain, id, lane_id, key).signature;
        let update = Update { base: 0, ops: vec![op], proof, signature };
        hub.handle(id, Message::Update { asset: ETH, update }, NOW).map_err(text)?;
    }
    let sent = hub_sends(&mut hub)?;
    let forwarded = sent.iter().filter(|(_, message)| matches!(message, Message::Update { .. })).count();
    if forwarded != 2 {
        return Err(format!("{forwarded} of two payments were forwarded"));
    }
    for payee in payees {
        let id = keys().hub_defs[payee].1;
        let evidence = Bytes::copy_from_slice(&secret);
        hub.handle(id, Message::Reveal { asset: ETH, slot: 0, placed: 1, evidence }, NOW).map_err(text)?;
    }
    let sent = hub_sends(&mut hub)?;
    let asked = |payer: usize| {
        let id = keys().hub_defs[payer].1;
        sent.iter().any(|(to, message)| *to == id && matches!(message, Message::Reveal { .. }))
    };
    if asked(0) && asked(1) { Ok(()) } else { Err("a payer whose payment arrived was not asked for it".into()) }
}

fn hub_sends(hub: &mut Hub) -> Result<Vec<(ChannelId, Message)>, String> {
    let mut sent = Vec::new();
    while let Some(commit) = hub.poll_commit(NOW).map_err(|error| error.to_string())? {
        let effects = hub.committed(commit.durable()).map_err(|error| error.to_string())?;
        sent.extend(effects.into_iter().filter_map(|effect| match effect {
            HubEffect::Send { channel, message } => Some((channel, message)),
            HubEffect::Submit { .. } => None,
        }));
    }
    Ok(sent)
}
