//! Rules whose breach takes no lane: each is shown by one scenario.

use super::foe::{EXTERNAL, keys};
use super::honest::policy;
use farthing_protocol::Amount;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::hub::PayeeInfo;
use farthing_protocol::lane::Op;
use farthing_protocol::message::Message;
use farthing_protocol::types::{ETH, Sides};
use farthing_protocol::wallet::{PayRequest, Payee, Wallet, WalletConfig, WalletEffect, check_payee};

/// [10] Every payment has a secret of its own. With equal secrets, the hub could collect two payments for one.
pub fn secrets_differ() -> Result<(), String> {
    let config = WalletConfig {
        domain: keys().domain,
        def: keys().wallet_def.0,
        policy: policy(&[ETH], EXTERNAL),
    };
    let now = 1_000_000;
    let mut hashes = Vec::new();
    // Twice from an empty store, as after a restore; and two payments in one commit.
    for round in 0..2_u8 {
        let mut wallet = Wallet::new(config.clone(), keys().honest.clone()).unwrap();
        let deposits = Sides { a: Amount::new(1_000), b: Amount::ZERO };
        let fact = ChainFact::Asset { asset: ETH, deposits, withdrawn: Sides::default(), status: AssetStatus::Open };
        wallet.chain(&fact, now);
        wallet.head(Head { number: 9, timestamp: now, final_number: 8, final_timestamp: now }, now);
        for payment in 0..2_u8 {
            let channel = keys().payee_defs[0];
            let info = PayeeInfo { channel, public_key: keys().public[1], binding: None, online: true };
            let request = PayRequest {
                asset: ETH,
                amount: Amount::new(5),
                memo: String::new(),
                to: Payee::Channel { to: channel.a.owner, info },
                expiry: now + 3_000 + u64::from(payment),
                id: [round * 2 + payment; 16],
                entropy: [7; 32],
            };
            wallet.pay(request, now).map_err(|error| error.to_string())?;
        }
        while let Ok(Some((commit, sealed))) = wallet.poll_commit(now) {
            wallet.committed();
            for effect in sealed.open(&commit.durable()).unwrap() {
                if let WalletEffect::Send(Message::Update { update, .. }) = effect {
                    hashes.extend(update.ops.iter().filter_map(|op| match op {
                        Op::Lock { condition, .. } => Some(condition.params.clone()),
                        _ => None,
                    }));
                }
            }
        }
    }
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    if hashes.len() == count && count == 4 { Ok(()) } else { Err("two payments have one secret".into()) }
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
