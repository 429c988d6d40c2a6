//! Rules whose breach takes no lane: each is shown by one scenario.

use super::foe::{EXTERNAL, keys};
use super::honest::policy;
use alloy_primitives::Bytes;
use farthing_protocol::Amount;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::Channel;
use farthing_protocol::condition::Condition;
use farthing_protocol::hub::PayeeInfo;
use farthing_protocol::lane::{Op, Update};
use farthing_protocol::message::Message;
use farthing_protocol::types::{ETH, Side, Sides};
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
    while let Ok(Some((commit, sealed))) = wallet.poll_commit(NOW) {
        wallet.committed();
        updates.extend(sealed.open(&commit.durable()).unwrap().into_iter().filter_map(|effect| match effect {
            WalletEffect::Send(Message::Update { update, .. }) => Some(update),
            _ => None,
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
                _ => None,
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
