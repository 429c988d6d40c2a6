//! Who has what when an attack is over. Nobody is asked: every channel is ended on chain, with the proofs that suit
//! whoever leaves, and the accounts are looked at.
//!
//! The hub has lost what its account had at the beginning, and what it was paid for goods that it has handed over,
//! less what its account has in the end, what it may still claim or collect, and the gas that its receipts show. An
//! attacker shows what the hub owes it and nothing that it owes the hub; showing that in time is up to the hub.

use crate::field::{Left, OpenLock};
use crate::stage::{ATTACKERS, HONEST, NOBODY, Stage, eventually};
use crate::support::client::call;
use crate::support::{Chain, Client};
use crate::{ledger, meter};
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use farthing_hub::clock;
use farthing_protocol::abi::IFarthing;
use farthing_protocol::chain::ChainCall;
use farthing_protocol::wallet::Wallet;
use farthing_protocol::{ChannelDef, ChannelId, ETH, Side};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Milliseconds from block to block while everybody leaves; the hub looks at the chain every 200.
const PACE: u64 = 100;
/// While evidence has to get on chain: blocks of twelve seconds come one after the other, thirty times too fast.
const MARGINS_PACE: u64 = 400;
const BLOCK_TIME: u64 = 12;
/// The hub's default safety margin.
const MARGIN: u64 = 600;
/// Blocks without a transaction of the hub's after which it has nothing more to send.
const QUIET: u64 = 10;
/// Looks at the chain after which a hub that wanted to send something has sent it.
const LOOKS: u64 = 4;
/// A hub that goes on sending, or that does not look at the chain for so long, is not waited for.
const HUBS_PATIENCE: Duration = Duration::from_secs(60);
const GAS: &str = "0x100000";
const OPEN: u8 = 0;

/// What it came to.
pub struct Verdict {
    /// Wei that the hub lost beyond gas; below zero if attackers left money behind.
    pub hub_lost: i128,
    /// Wei that the honest pair did not get out again.
    pub honest_lost: i128,
    /// Wei that are still in the contract and belong to nobody's claim that we know of.
    pub left: i128,
    /// Gas of the hub's for all of it, the ending included.
    pub gas: u128,
    /// Collateral in attackers' channels, before they ended.
    pub tied: u128,
    /// What attackers put in.
    pub stake: u128,
}

/// Ends everything. Gas is counted from the block after `since` on.
pub async fn end(stage: &Stage, mut left: Left, since: u64) -> Verdict {
    let chain = &stage.chain;
    // What is paid is redeemed a moment later, if the hub can still be reached.
    for client in [&stage.honest.payer, &stage.honest.payee] {
        eventually(async || open_locks(client).await.is_empty(), Duration::from_secs(5)).await;
        left.locks.extend(open_locks(client).await);
    }
    let opened = ledger::channels(chain).await;
    let (mut tied, mut stake, mut honest_in) = (0, 0, 0);
    for def in opened.values() {
        let state = chain.state(id(chain, def).0, ETH).await;
        if is_attackers(chain, def) {
            (tied, stake) = (tied + state.depositB, stake + state.depositA);
        } else if HONEST.iter().any(|account| chain.accounts[*account] == def.a.owner) {
            honest_in += state.depositA;
        }
    }
    stage.pace.store(PACE, Ordering::Relaxed);
    leave(stage, &left, &opened).await;
    quiet(stage).await;
    if let Some(expiry) = left.locks.iter().map(|lock| lock.expiry).max() {
        pass_margin(stage, expiry).await;
    }
    settle(stage, &opened).await;
    quiet(stage).await;
    stage.pace.store(0, Ordering::Relaxed);

    let paid = ledger::paid_out(chain).await;
    let honest_out = opened.iter().filter(|(_, def)| HONEST.iter().any(|a| chain.accounts[*a] == def.a.owner));
    let honest_out: u128 = honest_out.map(|(id, _)| paid.get(id).copied().unwrap_or_default()).sum();
    let claims = ledger::claims(chain, &left.locks).await;
    let gas: u128 = meter::gas(chain, since).await.get(&stage.hub_account()).copied().unwrap_or_default();
    let credit = ledger::view(chain, IFarthing::creditCall { asset: ETH, owner: stage.hub_account() }).await;
    let has = chain.balance(stage.hub_account(), ETH).await + credit;
    let had = stage.hub_had + U256::from(left.sold);
    let contract = chain.balance(chain.contract, ETH).await;
    Verdict {
        hub_lost: signed(had) - signed(has) - signed(U256::from(gas)) - signed(U256::from(claims)),
        honest_lost: signed(U256::from(honest_in)) - signed(U256::from(honest_out)),
        left: signed(contract) - signed(U256::from(claims)) - signed(credit),
        gas,
        tied,
        stake,
    }
}

/// Everybody starts an exit: the honest with all that they have, attackers with what suits them.
async fn leave(stage: &Stage, left: &Left, opened: &BTreeMap<ChannelId, ChannelDef>) {
    let chain = &stage.chain;
    let mut shown = BTreeMap::new();
    for client in [&*stage.honest.payer, &*stage.honest.payee] {
        shown.extend(exit_of(client).await.map(|call| (client.id, call)));
    }
    for client in &left.clients {
        let exit = exit_of(client).await.map(|call| match call {
            ChainCall::StartExit { channel, mut proofs } => {
                proofs.retain(|(lane, ..)| lane.payer == Side::B);
                ChainCall::StartExit { channel, proofs }
            }
            other => other,
        });
        shown.extend(exit.map(|call| (client.id, call)));
    }
    let mut last = Value::Null;
    for (id, def) in opened {
        if chain.state(id.0, ETH).await.status != OPEN {
            continue;
        }
        let silent = || ChainCall::StartExit { channel: *def, proofs: Vec::new() };
        let start = shown.remove(id).unwrap_or_else(silent);
        let proofs = match &start {
            ChainCall::StartExit { proofs, .. } => proofs.clone(),
            _ => Vec::new(),
        };
        last = send(chain, def.a.owner, &start, *id).await;
        // In case the hub was first.
        if !proofs.is_empty() {
            last = send(chain, def.a.owner, &ChainCall::SubmitProofs { channel: *def, proofs }, *id).await;
        }
    }
    mined(chain, &last).await;
}

/// Locks that a wallet pays with and that have not ended.
pub async fn open_locks(client: &Client) -> Vec<OpenLock> {
    let channel = client.id;
    let locks = |wallet: &mut Wallet| wallet.channel().state().assets.get(&ETH).map(|book| book.out.lane.locks.clone());
    let locks = client.run(locks).await.unwrap_or_default();
    let open = locks.iter().map(|(slot, pending)| {
        let value = pending.lock.unit_price.units() * u128::from(pending.lock.n);
        OpenLock { channel, slot: *slot, key: pending.lock.key, value, expiry: pending.expiry }
    });
    open.collect()
}

/// The wallet's own exit.
async fn exit_of(client: &Client) -> Option<ChainCall> {
    // One that broke off at an answer that it did not expect goes on from its store.
    let alive = AssertUnwindSafe(client.run(|_| ())).catch_unwind().await.is_ok();
    let resumed = if alive { None } else { Some(client.config.clone().resume().await) };
    let client = resumed.as_ref().unwrap_or(client);
    client.run(|wallet| wallet.exit(clock::now())).await.ok()?;
    let start = || {
        let calls = client.calls.lock().unwrap();
        calls.iter().rev().find(|call| matches!(call, ChainCall::StartExit { .. })).cloned()
    };
    eventually(async || start().is_some(), Duration::from_secs(5)).await;
    start()
}

/// Plays the time before an expiry in which the hub has to get its evidence on chain.
async fn pass_margin(stage: &Stage, expiry: u64) {
    let chain = &stage.chain;
    advance_to(chain, expiry - MARGIN - 2 * BLOCK_TIME).await;
    chain.ask("anvil_setBlockTimestampInterval", json!([BLOCK_TIME])).await;
    stage.pace.store(MARGINS_PACE, Ordering::Relaxed);
    while ledger::newest(chain).await.timestamp <= expiry {
        tokio::time::sleep(Duration::from_millis(MARGINS_PACE)).await;
    }
    chain.ask("anvil_removeBlockTimestampInterval", json!([])).await;
    stage.pace.store(PACE, Ordering::Relaxed);
}

/// After the longest challenge period anybody may settle.
async fn settle(stage: &Stage, opened: &BTreeMap<ChannelId, ChannelDef>) {
    let chain = &stage.chain;
    let mut last = 0;
    for id in opened.keys() {
        last = last.max(ledger::view(chain, IFarthing::exitEndsAtCall { channelId: id.0 }).await);
    }
    advance_to(chain, last + 1).await;
    let mut hash = Value::Null;
    for (id, def) in opened {
        if chain.state(id.0, ETH).await.status == OPEN {
            let call = IFarthing::settleCall { channel: def.into(), asset: ETH };
            hash = transact(chain, chain.accounts[NOBODY], call.abi_encode()).await;
        }
    }
    mined(chain, &hash).await;
}

/// Waits until the hub has sent nothing for some blocks and has looked at the chain some times meanwhile: on a busy
/// machine blocks come faster than it looks, and one that has not looked has not decided to send nothing.
async fn quiet(stage: &Stage) {
    let (chain, account, start) = (&stage.chain, stage.hub_account(), Instant::now());
    let (mut since, mut nonce) = (ledger::newest(chain).await.number, ledger::nonce(chain, account).await);
    let (mut seen, mut looks) = (None, 0);
    while start.elapsed() < HUBS_PATIENCE {
        tokio::time::sleep(Duration::from_millis(PACE)).await;
        let (now, newest) = (ledger::newest(chain).await.number, ledger::nonce(chain, account).await);
        if newest != nonce || !meter::pool(chain, account).await.is_empty() {
            (nonce, since, looks) = (newest, now, 0);
        }
        let read = final_block(stage).await;
        if read > seen && read >= Some(since) {
            (seen, looks) = (read, looks + 1);
        }
        if now >= since + QUIET && looks >= LOOKS {
            return;
        }
    }
}

/// The newest block that the hub has read, if it answers.
async fn final_block(stage: &Stage) -> Option<u64> {
    let id = stage.honest.payer.config.id();
    let status = call(&stage.hub.url, "farthing_channel", json!({ "channelId": id })).await.ok()?;
    status["finalBlock"].as_u64()
}

fn is_attackers(chain: &Chain, def: &ChannelDef) -> bool {
    ATTACKERS.into_iter().any(|account| chain.accounts[account] == def.a.owner)
}

fn id(chain: &Chain, def: &ChannelDef) -> ChannelId {
    def.id(chain.id, chain.contract)
}

async fn advance_to(chain: &Chain, time: u64) {
    let now = ledger::newest(chain).await.timestamp;
    if time > now {
        // Not `evm_increaseTime`: it forgets what blocks at an interval were ahead of the clock.
        chain.ask("evm_setNextBlockTimestamp", json!([time])).await;
        chain.mine(2).await;
    }
}

async fn send(chain: &Chain, from: Address, call: &ChainCall, id: ChannelId) -> Value {
    transact(chain, from, call.calldata(|_| id).to_vec()).await
}

async fn transact(chain: &Chain, from: Address, data: Vec<u8>) -> Value {
    let data = alloy_primitives::Bytes::from(data);
    chain.ask("eth_sendTransaction", json!([{ "from": from, "to": chain.contract, "data": data, "gas": GAS }])).await
}

async fn mined(chain: &Chain, hash: &Value) {
    let is_mined = async || !chain.ask("eth_getTransactionReceipt", json!([hash])).await.is_null();
    if !hash.is_null() {
        eventually(is_mined, Duration::from_secs(30)).await;
    }
}

/// All that there is of ETH on such a chain is below 2^127 wei.
fn signed(wei: U256) -> i128 {
    i128::try_from(wei).unwrap()
}
