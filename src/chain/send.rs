//! Transactions: sent by the wallet, or signed here with the local key; then waited for.

use super::Chain;
use super::rpc::{Untold, whole};
use crate::failure::{Failure, Result};
use crate::js::{array, get, hex, object, quantity, running};
use crate::signer::Owner;
use crate::signer::eip1193::Call;
use crate::signer::transaction::{Fees, Transaction};
use crate::task::{Either, Waits, Work, race, sleep};
use crate::url::any;
use alloy_primitives::{Address, B256, Bytes, U256};
use farthing_protocol::Code;
use wasm_bindgen::JsValue;

/// Seconds after which a transaction that is not mined is replaced.
const STUCK: u64 = 90;

/// Seconds in which a signed transaction must have come to a node.
const DELIVERY: u64 = 30;

/// The highest tip that is paid whatever a node says, in wei per gas: a node that lies must not turn a balance into fees.
const MAX_TIP: u64 = 1_000_000_000_000;

/// How often a transaction is signed anew when another one took its nonce.
const ATTEMPTS: u32 = 3;

/// First pause before a transaction is sent again, in milliseconds.
const PAUSE: u32 = 500;

/// Seconds after which a transaction that is in no block is not waited for any more.
const LOST: u64 = 15 * 60;

/// How often a nonce must have been seen to have passed in a final block, at different heads.
const LOOKS: u32 = 3;

/// The same of one that a wallet was asked for.
const LATE: u32 = 10;

/// Pause after which a transaction is looked at although no block came, in milliseconds.
const QUIET: u32 = 5_000;

/// Chains whose nodes may make a block for a transaction only.
pub const DEVELOPMENT: [u64; 2] = [31_337, 1_337];

/// Longest pause between looks at a transaction, in milliseconds.
const LOOK: u32 = 15_000;

/// Where a transaction stands, as `onProgress` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The hub won't send it; the wallet is asked to.
    RelayRefused,
    /// A node has it.
    Submitted,
    /// It is in a block.
    Mined,
    /// The development node makes no blocks by itself, and more are needed.
    WaitingForBlocks,
    /// It has its confirmations.
    Confirmed,
}

impl Stage {
    /// As JavaScript sees it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RelayRefused => "relay-refused",
            Self::Submitted => "submitted",
            Self::Mined => "mined",
            Self::WaitingForBlocks => "waiting-for-blocks",
            Self::Confirmed => "confirmed",
        }
    }
}

impl Chain {
    /// Sends a transaction of the owner's account; the hash comes as soon as a node has it.
    pub fn send<'a>(&'a self, owner: &'a Owner, to: Address, value: U256, data: Bytes) -> Work<'a, String> {
        Box::pin(self.sign_and_send(owner, to, value, data))
    }

    /// Asks the owner's wallet for several calls as one. `None`: it does not do that, and nothing was sent.
    pub fn send_batch<'a>(&'a self, owner: &'a Owner, calls: &'a [Call<'a>], id: &'a str) -> Work<'a, Option<String>> {
        Box::pin(async move {
            let Owner::Wallet { provider, account } = owner else { return Ok(None) };
            let apart = !self.rpc.is_wallet();
            if apart {
                for call in calls {
                    self.check_code(call.to).await?;
                }
            }
            provider.send_calls(self.domain.chain_id(), *account, calls, id, apart).await
        })
    }

    async fn sign_and_send(&self, owner: &Owner, to: Address, value: U256, data: Bytes) -> Result<String> {
        match owner {
            Owner::Wallet { provider, account } => {
                let apart = !self.rpc.is_wallet();
                if apart {
                    self.check_code(to).await?;
                }
                let call = Call { to, value, data: &data };
                provider.send_transaction(self.domain.chain_id(), *account, call, apart).await
            }
            Owner::Local(key) => {
                // Two at once would take the same nonce.
                let _turn = self.sending.lock().await;
                let from = key.address();
                // What was asked for before, and may have arrived, is sent as it was: a second one with another nonce
                // could be mined beside it.
                self.unsure.borrow_mut().retain(|signed| !signed.is_old());
                let is_same = |signed: &Signed| signed.to == to && signed.value == value && signed.data == data;
                let before = self.unsure.borrow().iter().find(|signed| is_same(signed)).cloned();
                if let Some(before) = before {
                    let hash = before.hash.clone();
                    let receipt = self.receipt(&hash).await?;
                    match quantity(&get(&receipt, "blockNumber")) {
                        Some(_) if quantity(&get(&receipt, "status")) == Some(0) => self.forget(&hash),
                        // Whoever asked was not told of it; the next one asks for another.
                        Some(_) => {
                            self.forget(&hash);
                            return Ok(hash);
                        }
                        None if self.deliver(from, before, true).await? => return Ok(hash),
                        None => self.forget(&hash),
                    }
                }
                for attempt in 0..ATTEMPTS {
                    if attempt > 0 {
                        // A node that lags still counts the nonce as free.
                        sleep(PAUSE).await;
                    }
                    let transaction = self.prepare(from, to, value, data.clone()).await?;
                    let nonce = transaction.nonce;
                    let (raw, hash) = transaction.sign(key);
                    let (raw, hash) = (hex(raw), B256::to_string(&hash));
                    let signed =
                        Signed { raw, hash: hash.clone(), nonce, to, value, data: data.clone(), time: running() };
                    let mut undelivered = Undelivered { chain: self, signed: Some(signed.clone()) };
                    let delivered = self.deliver(from, signed, false).await;
                    undelivered.signed = None;
                    match delivered {
                        // It was never sent: the node takes none with a type.
                        Err(failure) if is_untyped(&failure) && !self.untyped.replace(true) => {}
                        delivered if delivered.clone()? => return Ok(hash),
                        _ => {}
                    }
                }
                let detail = format!("Other transactions of {from} took every nonce; this one was not sent.");
                Err(Failure::new(Code::TransactionFailed, detail))
            }
        }
    }

    /// Brings a signed transaction to a node. `false`: another one has its nonce, and it can't be mined any more. An
    /// answer that is lost says nothing: the transaction is looked for, and sent again as it is.
    async fn deliver(&self, from: Address, signed: Signed, mut unsure: bool) -> Result<bool> {
        let end = running().saturating_add(DELIVERY);
        let (mut pause, mut passed) = (PAUSE, 0_u32);
        loop {
            let sent = self.rpc.tell("eth_sendRawTransaction", &array([signed.raw.as_str()])).await;
            let Err(Untold { failure, maybe, again }) = sent else { return Ok(self.remember(signed)) };
            unsure |= maybe;
            if is_known(&failure) {
                return Ok(self.remember(signed));
            }
            let hash = array([signed.hash.as_str()]);
            let seen = self.rpc.request("eth_getTransactionByHash", hash).await;
            if seen.as_ref().is_ok_and(JsValue::is_object) {
                return Ok(self.remember(signed));
            }
            // Refused by one, it may have been taken by another that could not be asked.
            unsure |= !again && seen.is_err();
            if !(unsure || again) {
                let params = array([from.to_string().as_str(), "latest"]);
                if self.rpc.number("eth_getTransactionCount", params).await? > signed.nonce {
                    // One's own may have taken it already, and the node that was asked does not know it yet.
                    passed = passed.saturating_add(1);
                    if passed >= LOOKS {
                        return Ok(false);
                    }
                    sleep(pause).await;
                    continue;
                }
                let refused = failure.seen_as(Code::TransactionFailed);
                return Err(refused.because("It was never sent, and no money moved."));
            }
            if running() >= end && !unsure {
                // Each node that was asked said that it wants to be left alone.
                return Err(failure.seen_as(Code::ChainUnavailable).because("It was never sent, and no money moved."));
            }
            if running() >= end {
                let detail = format!(
                    "Whether transaction {} has arrived is not known, and it may still be mined. Asked again within {} \
                     minutes, the same call goes on with it and sends no other.",
                    signed.hash,
                    LOST.div_euclid(60)
                );
                self.keep(signed);
                return Err(failure.seen_as(Code::ChainUnavailable).because(&detail));
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LOOK);
        }
    }

    /// Why nobody waits any more for what was sent, and what to do.
    pub(super) fn unread(&self, hash: &str, failure: Failure) -> Failure {
        let ours = self.sent.borrow().iter().find(|signed| signed.hash == hash).cloned();
        let next = match ours {
            // Asked for again it is the same one.
            Some(signed) => {
                self.keep(signed);
                "Asked again, the same call goes on with it and sends no other."
            }
            None => "Look at the wallet and at balances() before you ask again.",
        };
        failure.because(&format!("Transaction {hash} was sent, and what became of it can't be read. {next}"))
    }

    fn keep(&self, signed: Signed) {
        self.forget(&signed.hash);
        self.unsure.borrow_mut().push(signed);
    }

    /// A node has it.
    fn remember(&self, signed: Signed) -> bool {
        let mut sent = self.sent.borrow_mut();
        sent.retain(|before| !before.is_old());
        sent.push(signed);
        true
    }

    /// What nodes dropped, or a reorganisation took back, is told once more as it was: it can be mined once only. `false`
    /// if it was not sent from here, or is not taken.
    async fn resend(&self, hash: &str) -> bool {
        let known = self.sent.borrow().iter().find(|signed| signed.hash == hash).map(|signed| signed.raw.clone());
        match known {
            Some(raw) => self.rpc.tell("eth_sendRawTransaction", &array([raw])).await.is_ok(),
            None => false,
        }
    }

    fn forget(&self, hash: &str) {
        self.unsure.borrow_mut().retain(|signed| signed.hash != hash);
    }

    /// The receipt, on which two nodes agree where there are two; `null` if there is none.
    pub(super) fn receipt<'a>(&'a self, hash: &str) -> Work<'a, JsValue> {
        self.rpc.agreed("eth_getTransactionReceipt", array([hash]), |receipt| match receipt.is_null() {
            true => Some(String::new()),
            false => {
                let (block, status) = (get(receipt, "blockNumber").as_string()?, get(receipt, "status").as_string()?);
                Some(format!("{block} {status}"))
            }
        })
    }

    /// Follows a transaction that must not get lost until it has its confirmations. One that a node keeps waiting is
    /// replaced by one that pays more; one that reverted or that no node knows any more is an error.
    pub fn follow<'a>(&'a self, owner: &'a Owner, hash: String, to: Address, data: Bytes) -> Work<'a, ()> {
        Box::pin(async move {
            let mut hashes = vec![hash];
            let (mut since, mut missing) = (running(), 0_u32);
            loop {
                for hash in &hashes {
                    let receipt = self.receipt(hash).await;
                    let Some(block) = receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "blockNumber")))
                    else {
                        continue;
                    };
                    if receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "status"))) == Some(0) {
                        return Err(Failure::new(Code::TransactionFailed, format!("Transaction {hash} reverted.")));
                    }
                    if self.head().number >= block.saturating_add(self.confirmations()) {
                        return Ok(());
                    }
                    since = running();
                }
                if running().saturating_sub(since) >= STUCK {
                    match self.replace(owner, &hashes, to, &data).await {
                        Ok(Some(hash)) => hashes.push(hash),
                        Ok(None) => missing = 0,
                        // By one node that lags it may be unknown; by what a node could not say, nothing is.
                        Err(failure) if failure.code() == Code::TransactionFailed => {
                            missing = missing.saturating_add(1);
                            // A contract's wallet may wait for others to sign, and tell of it by another hash.
                            let patient = if let Owner::Wallet { .. } = owner { LATE } else { LOOKS };
                            if missing >= patient {
                                return Err(failure);
                            }
                        }
                        Err(_) => {}
                    }
                    since = running();
                }
                let _ = race(self.heads.next(), sleep(LOOK)).await;
            }
        })
    }

    /// Sends a transaction once more with higher fees, if a node still keeps it waiting.
    async fn replace(&self, owner: &Owner, hashes: &[String], to: Address, data: &Bytes) -> Result<Option<String>> {
        let mut found = None;
        for hash in hashes.iter().rev() {
            let known = self.rpc.request("eth_getTransactionByHash", array([hash.as_str()])).await?;
            if let Some(nonce) = quantity(&get(&known, "nonce")) {
                found = Some((known, nonce));
                break;
            }
        }
        let Some((known, nonce)) = found else {
            for hash in hashes {
                if self.resend(hash).await {
                    return Ok(None);
                }
            }
            let detail = format!("No node knows transaction {} any more.", hashes.join(" or "));
            return Err(Failure::new(Code::TransactionFailed, detail));
        };
        // A wallet replaces its transactions itself, when its user says so.
        let (Owner::Local(key), None) = (owner, quantity(&get(&known, "blockNumber"))) else { return Ok(None) };
        let fee = |name: &str| quantity(&get(&known, name)).map_or(0, |fee| u128::from(fee).saturating_mul(5) / 4);
        let mut transaction = self.prepare(key.address(), to, U256::ZERO, data.clone()).await?;
        transaction.nonce = nonce;
        transaction.fees = match transaction.fees {
            Fees::Market { tip, most } => {
                let tip = tip.max(fee("maxPriorityFeePerGas").saturating_add(1).min(u128::from(MAX_TIP)));
                Fees::Market { tip, most: most.max(fee("maxFeePerGas").saturating_add(1)).max(tip) }
            }
            Fees::Price(price) => Fees::Price(price.max(fee("gasPrice").saturating_add(1))),
        };
        let (raw, hash) = transaction.sign(key);
        // Refused, it is not known by its hash; and an answer may have been lost.
        let _ = self.rpc.tell("eth_sendRawTransaction", &array([hex(raw)])).await;
        Ok(Some(B256::to_string(&hash)))
    }

    async fn prepare(&self, from: Address, to: Address, value: U256, data: Bytes) -> Result<Transaction> {
        let call = object([
            ("from", from.to_string().into()),
            ("to", to.to_string().into()),
            ("value", format!("{value:#x}").into()),
            ("data", hex(&data).into()),
        ]);
        let estimate =
            self.rpc.number("eth_estimateGas", array([call])).await.map_err(|failure| match failure.code() {
                // What the EVM refuses now it would refuse on chain, too.
                Code::TransactionFailed => failure.because("It was never sent, and no money moved."),
                _ => failure,
            })?;
        let nonce = self.rpc.number("eth_getTransactionCount", array([from.to_string().as_str(), "pending"])).await?;
        let params = array([JsValue::from("latest"), false.into()]);
        let block = self.rpc.wanting("eth_getBlockByNumber", params, JsValue::is_object).await?;
        let none = array::<JsValue>([]);
        let fees = match quantity(&get(&block, "baseFeePerGas")).map(u128::from) {
            Some(base_fee) if !self.untyped.get() => {
                let tip = self.rpc.number("eth_maxPriorityFeePerGas", none).await.unwrap_or(1_000_000_000);
                let tip = u128::from(tip.min(MAX_TIP));
                // Stays valid while the base fee doubles.
                Fees::Market { tip, most: base_fee.saturating_mul(2).saturating_add(tip) }
            }
            base_fee => {
                let price = self.rpc.number("eth_gasPrice", none).await?;
                let price = u128::from(price.min(MAX_TIP));
                Fees::Price(price.max(base_fee.unwrap_or_default().saturating_mul(2)))
            }
        };
        Ok(Transaction {
            chain_id: self.domain.chain_id(),
            nonce,
            fees,
            gas: estimate.saturating_add(estimate.div_euclid(4)),
            to,
            value,
            data,
        })
    }

    /// Waits until the transaction is in a block and has its confirmations, or what it was for is `done` by another one.
    /// One that reverted, or was replaced in the wallet, is [`Code::TransactionFailed`]; one that a reorganisation dropped
    /// is waited for again; one that nobody mines ends the waiting.
    pub fn confirmed<'a>(
        &'a self,
        owner: Address,
        hash: &'a str,
        confirmations: u64,
        done: &'a dyn Fn() -> bool,
        progress: &'a dyn Fn(Stage),
    ) -> Work<'a, ()> {
        Box::pin(async move {
            let _waits = Waits::new(&self.waiting);
            self.until_confirmed(owner, hash, confirmations, done, progress).await
        })
    }

    async fn until_confirmed(
        &self,
        owner: Address,
        hash: &str,
        confirmations: u64,
        done: &dyn Fn() -> bool,
        progress: &dyn Fn(Stage),
    ) -> Result<()> {
        let (mut mined, mut told, waiting) = (false, false, running());
        let ours = self.sent.borrow().iter().find(|signed| signed.hash == hash).map(|signed| signed.nonce);
        let (mut nonce, mut passed, mut since) = (ours, 0_u32, running());
        let mut counted = 0;
        // There, blocks may not come by themselves, and none is taken back.
        let looks = if DEVELOPMENT.contains(&self.domain.chain_id()) { 1 } else { LOOKS };
        loop {
            // What the wallet knows is of this block or a later one.
            let reached = self.told.get();
            // A node that is silent for a moment is asked again at the next head.
            let receipt = self.receipt(hash).await;
            let block = receipt.as_ref().ok().and_then(|receipt| quantity(&get(receipt, "blockNumber")));
            if let (Some(block), Ok(receipt)) = (block, &receipt) {
                if quantity(&get(receipt, "status")) == Some(0) {
                    return Err(Failure::new(Code::TransactionFailed, format!("Transaction {hash} reverted.")));
                }
                if !std::mem::replace(&mut mined, true) {
                    progress(Stage::Mined);
                }
                if self.head().number >= block.saturating_add(confirmations) {
                    progress(Stage::Confirmed);
                    return Ok(());
                }
                (since, passed) = (running(), 0);
            } else if receipt.is_ok() {
                let known = self.rpc.request("eth_getTransactionByHash", array([hash])).await;
                // Sped up in the wallet it is mined under another hash; and some nodes have receipts late or never.
                let waits = known.as_ref().is_ok_and(|known| known.is_object() && get(known, "blockNumber").is_null());
                if known.is_ok() && !waits && done() {
                    progress(Stage::Confirmed);
                    return Ok(());
                }
                if let Some(known) = known.as_ref().ok().and_then(|known| quantity(&get(known, "nonce"))) {
                    nonce = Some(known);
                } else if known.is_ok() && self.resend(hash).await {
                    passed = 0;
                } else if let (Ok(_), Some(nonce)) = (&known, nonce) {
                    let block = format!("{reached:#x}");
                    let params = array([owner.to_string().as_str(), block.as_str()]);
                    if reached > counted {
                        let count = self.rpc.agreed("eth_getTransactionCount", params, whole).await;
                        let count = count.ok().and_then(|count| quantity(&count));
                        passed = if count.is_some_and(|count| count > nonce) { passed.saturating_add(1) } else { 0 };
                        counted = reached;
                    }
                    if passed >= looks {
                        let detail = format!(
                            "Transaction {hash} was replaced by another one of the account, sped up or cancelled in the \
                             wallet; by this one no money moved."
                        );
                        return Err(Failure::new(Code::TransactionFailed, detail));
                    }
                }
            }
            if receipt.is_err() && done() {
                progress(Stage::Confirmed);
                return Ok(());
            }
            if let Some(failure) = self.unreadable(waiting) {
                return Err(self.unread(hash, failure));
            }
            if running().saturating_sub(since) >= LOST {
                let detail = format!(
                    "Transaction {hash} has not been mined for {} minutes, and may still be: look at it in the wallet, \
                     and at balances(), before you ask again.",
                    LOST.div_euclid(60)
                );
                return Err(Failure::advised(Code::Unanswered, detail));
            }
            if let Either::Second(()) = race(self.heads.next(), sleep(QUIET)).await
                && mined
                && !std::mem::replace(&mut told, true)
                && DEVELOPMENT.contains(&self.domain.chain_id())
            {
                progress(Stage::WaitingForBlocks);
            }
        }
    }
}

/// A transaction of the local key, as it goes to a node.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    raw: String,
    hash: String,
    nonce: u64,
    to: Address,
    value: U256,
    data: Bytes,
    /// When it was signed, by the clock that only runs on: set forward, the device would have it signed anew too early.
    time: u64,
}

impl Signed {
    /// Of so long ago that asking for the same is asking for another.
    fn is_old(&self) -> bool {
        running().saturating_sub(self.time) > LOST
    }
}

/// What is on its way to a node. Where nobody waits for that any more it may have arrived, and is kept for who asks for
/// the same.
struct Undelivered<'a> {
    chain: &'a Chain,
    signed: Option<Signed>,
}

impl Drop for Undelivered<'_> {
    fn drop(&mut self) {
        if let Some(signed) = self.signed.take() {
            self.chain.keep(signed);
        }
    }
}

/// Whether a transaction was never sent, since the node does not know its type.
fn is_untyped(failure: &Failure) -> bool {
    let text = failure.detail().to_ascii_lowercase();
    let words =
        ["transaction type not supported", "unsupported transaction type", "invalid transaction type", "eip-1559"];
    failure.code() == Code::TransactionFailed && any(&text, &words)
}

/// Whether a refusal says that the node has the transaction already.
fn is_known(failure: &Failure) -> bool {
    let text = failure.detail().to_ascii_lowercase();
    let words = ["already known", "alreadyknown", "known transaction", "already imported", "already in mempool"];
    let has = |word: &str| text.as_bytes().windows(word.len()).any(|part| part == word.as_bytes());
    words.into_iter().any(has) && !has("unknown transaction")
}
