//! What the chain says, asked of the wallet's provider or of an RPC URL, never of the hub.

mod ahead;
mod clock;
mod finality;
pub mod logs;
mod node;
pub mod owner;
pub mod reader;
pub mod rpc;
pub mod send;
pub mod token;
pub mod verdict;
mod window;

use crate::failure::{Failure, Result};
use crate::js::{array, bytes, hex, object};
use crate::signer::wallet_values::has_code;
use crate::task::{Changes, Either, Work, both, race, sleep};
use ahead::How;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use clock::Clock;
pub use clock::{Skew, span};
use farthing_protocol::abi::{IERC20, IFarthing};
use farthing_protocol::chain::Head;
use farthing_protocol::eip712::Domain;
use farthing_protocol::reading;
use farthing_protocol::types::Asset;
use farthing_protocol::{Amount, Code};
use finality::{confirmations, is_local};
use js_sys::Array;
pub use owner::Account;
use rpc::{Rpc, whole};
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;
use window::{Block, Window};

/// Blocks that are fetched one by one when they were missed.
const FEW: u64 = 3;

/// Pause between looks for a block that says who is wrong about the time, in milliseconds.
const DECIDING: u32 = 1_000;

/// How often an RPC must have said that there is nothing before that is so.
const LOOKS: u32 = 3;

/// Seconds for which what was sent is waited for while the chain can't be read.
const UNREADABLE: u64 = 60;

/// After how many seconds a chain that is shorter than it was is taken for one that was reset.
const RESET: u64 = 60;

/// The contract on its chain, as one client sees it.
#[derive(Debug)]
pub struct Chain {
    /// Whom we ask.
    pub rpc: Rpc,
    /// Chain id and contract.
    pub domain: Domain,
    /// Blocks on top of a block before what is in it counts, and the fewest that the application takes.
    confirmations: Cell<u64>,
    floor: Option<u64>,
    /// Blocks that one request for logs may span, as far as the node has answered.
    span: Cell<u64>,
    /// And those that it is asked for at most, since it refused more.
    widest: Cell<u64>,
    /// Ranges that were answered since one was refused.
    answered: Cell<u32>,
    window: RefCell<Window>,
    /// The newest block and the newest final one, as the head was read last.
    newest: Cell<Option<reading::Block>>,
    base: Cell<Option<reading::Block>>,
    /// Whether logs were asked for since.
    asked_logs: Cell<bool>,
    /// Since when a node tells of an older head than one that was seen, by the running clock.
    lower_since: Cell<Option<u64>>,
    /// How many wait for something to be mined.
    waiting: Cell<u32>,
    /// Told of every new head.
    pub heads: Changes,
    head: Cell<Head>,
    clock: Clock,
    /// The newest final block up to which the wallet was told everything.
    told: Cell<u64>,
    sending: crate::task::Mutex,
    /// A node has refused a transaction for its type (EIP-1559).
    untyped: Cell<bool>,
    /// Transactions that were signed, and of which nobody has said whether a node has them.
    unsure: RefCell<Vec<send::Signed>>,
    /// And those that one has.
    sent: RefCell<Vec<send::Signed>>,
    /// Since when it can't be read, by the running clock, and why.
    trouble: RefCell<Option<(u64, Failure)>>,
}

impl Chain {
    /// Asks nothing yet. The hub says how many confirmations it waits for.
    #[must_use]
    pub fn new(rpc: Rpc, domain: Domain, hub: u64, floor: Option<u64>) -> Self {
        rpc.expect(domain.chain_id());
        Self {
            rpc,
            domain,
            confirmations: Cell::new(confirmations(domain.chain_id(), hub, floor)),
            floor,
            span: Cell::new(logs::SPAN),
            widest: Cell::new(logs::SPAN),
            answered: Cell::default(),
            window: RefCell::new(Window::new(domain.contract())),
            newest: Cell::default(),
            base: Cell::default(),
            asked_logs: Cell::default(),
            lower_since: Cell::default(),
            waiting: Cell::default(),
            heads: Changes::default(),
            head: Cell::default(),
            clock: Clock::default(),
            told: Cell::default(),
            sending: Default::default(),
            untyped: Cell::default(),
            unsure: RefCell::default(),
            sent: RefCell::default(),
            trouble: RefCell::default(),
        }
    }

    /// Blocks on top of a block before what is in it counts.
    #[must_use]
    pub const fn confirmations(&self) -> u64 {
        self.confirmations.get()
    }

    /// The hub waits for so many from now on.
    pub fn follow_hub(&self, hub: u64) {
        self.confirmations.set(confirmations(self.domain.chain_id(), hub, self.floor));
    }

    /// Refuses another chain and an address without code.
    pub fn check(&self) -> Work<'_, ()> {
        Box::pin(self.check_both())
    }

    async fn check_both(&self) -> Result<()> {
        let (chain_id, code) =
            both(self.rpc.number("eth_chainId", Array::new()), self.check_code(self.domain.contract())).await;
        let chain_id = chain_id?;
        if chain_id != self.domain.chain_id() {
            let detail = format!("The wallet or RPC is on chain {chain_id}, the hub on {}.", self.domain.chain_id());
            return Err(Failure::new(Code::ChainMismatch, detail));
        }
        code
    }

    /// Refuses an address without code.
    fn check_code(&self, to: Address) -> Work<'_, ()> {
        Box::pin(async move {
            let params = array([to.to_string().as_str(), "latest"]);
            let code = self.something("eth_getCode", params).await?;
            match has_code(&code) {
                Some(true) => Ok(()),
                Some(false) => Err(Failure::new(Code::ChainMismatch, format!("There is no contract at {to}."))),
                None => Err(Failure::new(Code::ChainUnavailable, "The RPC gave no code.")),
            }
        })
    }

    /// The least and the longest challenge period that the contract takes, in seconds. Refuses another contract; a node
    /// that does not answer says nothing of the contract.
    pub fn bounds(&self) -> Work<'_, (u32, u32)> {
        Box::pin(self.read_bounds())
    }

    async fn read_bounds(&self) -> Result<(u32, u32)> {
        let contract = self.domain.contract();
        let (min, max) = both(
            self.ask(contract, &IFarthing::minChallengePeriodCall {}, "latest"),
            self.ask(contract, &IFarthing::maxChallengePeriodCall {}, "latest"),
        )
        .await;
        let bound = |words: Result<Words>| match words {
            Err(failure) if failure.code() != Code::TransactionFailed => Err(failure),
            words => words.and_then(|words| words.number::<u32>(0)).map_err(|_| {
                Failure::new(Code::ChainMismatch, format!("What is at {contract} is not Farthing's contract."))
            }),
        };
        Ok((bound(min)?, bound(max)?))
    }

    /// The last head that was read.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head.get()
    }

    /// What time it is, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The earliest that it can be: what holds for a while from then on was meant to hold that long, at most.
    #[must_use]
    pub fn least_time(&self) -> u64 {
        self.clock.least()
    }

    /// How wrong the device's clock is.
    #[must_use]
    pub fn skew(&self) -> Skew {
        self.clock.skew()
    }

    /// Whether it is a development node's, which may make a block for a transaction only.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        is_local(self.domain.chain_id())
    }

    /// Waits for blocks that say whether the device's clock is ahead or the chain is old, for so many milliseconds.
    pub async fn decide(&self, patience: u32) -> Result<()> {
        let decided = async {
            while matches!(self.skew(), Skew::Undecided(_)) {
                sleep(DECIDING).await;
                self.read_head().await?;
            }
            Ok(())
        };
        match race(decided, sleep(patience)).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => Ok(()),
        }
    }

    /// The wallet knows what is in final blocks up to this one.
    pub fn tell_final(&self, number: u64) {
        self.told.set(number.max(self.told.get()));
        self.heads.notify();
    }

    /// Waits until the wallet knows what is in the final blocks that were seen.
    pub async fn known(&self, hash: &str) -> Result<()> {
        let (seen, waiting) = (self.head().final_number, crate::js::running());
        while self.told.get() < seen {
            if let Some(failure) = self.unreadable(waiting) {
                return Err(self.unread(hash, failure));
            }
            race(self.heads.next(), sleep(DECIDING)).await;
        }
        Ok(())
    }

    /// Asks ahead for the newest block, of a chain that need not be known yet.
    pub fn ask_newest(rpc: &Rpc) {
        rpc.ahead(newest(rpc));
    }

    /// Asks ahead for all that is checked of the contract, and for what [`Self::bounds`] wants if it is new to us.
    pub fn ask_contract(&self, is_new: bool) {
        Self::ask_newest(&self.rpc);
        self.rpc.ahead(self.check());
        if is_new {
            self.rpc.ahead(self.bounds());
        }
    }

    /// The newest block, which is also what [`Self::read_head`] will read, and the final one, which is asked for ahead.
    pub async fn peek(&self) -> Result<(u64, u64)> {
        let block = newest(&self.rpc).await?;
        let number = Block::parse(&block).map(|block| block.number).unwrap_or_default();
        self.rpc.keep_ahead(How::One(is_block), "eth_getBlockByNumber", &of_block("latest"), block);
        let final_number = number.saturating_sub(self.confirmations());
        if final_number != number {
            let tag = format!("{final_number:#x}");
            self.rpc.ahead(block_of(&self.rpc, &tag));
            if self.rpc.are_several() {
                self.rpc.ahead(self.rpc.agreed("eth_getBlockByNumber", of_block(&tag), window::identity));
            }
        }
        Ok((number, final_number))
    }

    /// Reads the newest block and the newest final one.
    pub fn read_head(&self) -> Work<'_, Head> {
        Box::pin(self.read_blocks())
    }

    async fn read_blocks(&self) -> Result<Head> {
        let newest = self.block("latest").await?;
        let known = self.head.get();
        let (number, timestamp) = (newest.number, newest.timestamp);
        if self.is_behind(number, known.number) {
            return Ok(known);
        }
        self.clock.saw(timestamp);
        let final_number = number.saturating_sub(self.confirmations());
        // Blocks that came and went between two looks, if they are few.
        let from = self.window.borrow().newest().map_or(number, |seen| seen.saturating_add(1));
        if number.saturating_sub(from) <= FEW {
            for missing in from..number {
                let block = self.block(&format!("{missing:#x}")).await?;
                self.window.borrow_mut().push(block);
            }
        }
        let top = newest.known();
        self.window.borrow_mut().push(newest);
        let seen = self.window.borrow().find(final_number).cloned();
        let base = match seen {
            Some(seen) => seen,
            None => self.block(&format!("{final_number:#x}")).await?,
        };
        let final_timestamp = base.timestamp;
        // The time by which locks expire and exits end: one node alone must not tell it where two are asked.
        if self.rpc.are_several() && final_number != known.final_number {
            let params = of_block(&format!("{final_number:#x}"));
            let agreed = self.rpc.agreed("eth_getBlockByNumber", params, window::identity).await?;
            let agreed = Block::parse(&agreed).map(|block| block.known());
            if agreed != Some(base.known()) {
                self.window.borrow_mut().forget();
                return Err(Failure::new(Code::ChainUnavailable, "The RPC has just changed its mind about a block."));
            }
        }
        let head = Head { number, timestamp, final_number, final_timestamp };
        self.head.set(head);
        self.newest.set(Some(top));
        self.base.set(Some(base.known()));
        Ok(head)
    }

    /// Whether a node tells of an older head than we have seen: one of several behind one URL lags, and is waited for. A
    /// development chain that stays shorter was reset.
    fn is_behind(&self, number: u64, known: u64) -> bool {
        if number >= known {
            self.lower_since.set(None);
            return false;
        }
        let since = self.lower_since.get().unwrap_or_else(crate::js::running);
        self.lower_since.set(Some(since));
        // Elsewhere nothing is unlearned for a node that fell back: an exit that it does not know yet was there.
        !self.is_local() || crate::js::running().saturating_sub(since) < RESET
    }

    /// Whether no log of the contract is in these blocks, as far as their headers say. `false` is no answer.
    #[must_use]
    pub fn is_quiet(&self, from: u64, to: u64) -> bool {
        // A header comes from one node alone; where there are two, both are asked for the logs.
        !self.rpc.are_several() && self.window.borrow().is_quiet(from, to)
    }

    /// What a look at the chain came to.
    pub fn looked<T>(&self, outcome: &Result<T>) {
        let mut trouble = self.trouble.borrow_mut();
        match outcome {
            Ok(_) => *trouble = None,
            Err(failure) => {
                let since = trouble.as_ref().map_or_else(crate::js::running, |(since, _)| *since);
                *trouble = Some((since, failure.clone()));
            }
        }
    }

    /// Why the chain could not be read for so long that whoever waits since then, by the running clock, waits no more.
    #[must_use]
    pub fn unreadable(&self, waiting: u64) -> Option<Failure> {
        let trouble = self.trouble.borrow();
        let (since, failure) = trouble.as_ref()?;
        (crate::js::running().saturating_sub((*since).max(waiting)) >= UNREADABLE).then(|| failure.clone())
    }

    /// How long the next block will take, in milliseconds, by those seen last.
    #[must_use]
    pub fn interval(&self) -> u32 {
        self.window.borrow().interval()
    }

    /// Whether somebody waits for something to be mined.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.waiting.get() > 0
    }

    async fn block(&self, tag: &str) -> Result<Block> {
        let block = block_of(&self.rpc, tag).await?;
        Block::parse(&block).ok_or_else(|| Failure::new(Code::ChainUnavailable, "The RPC gave no block."))
    }

    /// Calls a view function at a block. All that is asked for are numbers.
    pub fn ask<C: SolCall>(&self, to: Address, call: &C, tag: &str) -> Work<'_, Words> {
        self.view(to, call.abi_encode(), tag, C::SIGNATURE)
    }

    fn view(&self, to: Address, data: Vec<u8>, tag: &str, what: &'static str) -> Work<'_, Words> {
        let (answer, pinned) = (self.call(to, data, tag), tag.starts_with("0x"));
        Box::pin(async move {
            let answer = answer.await?;
            let mut words: Vec<U256> = answer.chunks_exact(32).filter_map(U256::try_from_be_slice).collect();
            // Before the contract was there, all that it could have said was zero.
            if pinned && answer.is_empty() {
                words = vec![U256::ZERO; 8];
            }
            Ok(Words { words, what })
        })
    }

    /// What a view function returned; at a block that is named, nothing only where there was no contract.
    fn call(&self, to: Address, data: Vec<u8>, tag: &str) -> Work<'_, Bytes> {
        let request = object([("to", to.to_string().into()), ("data", hex(data).into())]);
        let tag = tag.to_owned();
        Box::pin(async move {
            let params = array([request, tag.as_str().into()]);
            let answer = match tag == "latest" {
                true => self.something("eth_call", params).await?,
                false => self.rpc.agreed("eth_call", params, whole).await?.as_string().unwrap_or_default(),
            };
            match bytes(&answer) {
                Some(data) if !data.is_empty() || tag == "latest" => Ok(data.into()),
                Some(_) if self.is_too_young(to, &tag).await? => Ok(Bytes::new()),
                _ => Err(Failure::new(Code::ChainUnavailable, format!("The RPC gave no answer of what is at {to}."))),
            }
        })
    }

    /// What there is now; a node that lags may have nothing yet, and is asked again.
    fn something<'a>(&'a self, method: &'a str, params: Array) -> Work<'a, String> {
        Box::pin(async move {
            let mut looks = 0_u32;
            loop {
                let answer = self.rpc.agreed(method, params.clone(), whole).await?.as_string().unwrap_or_default();
                looks = looks.saturating_add(1);
                if answer != "0x" || looks >= LOOKS {
                    return Ok(answer);
                }
                sleep(DECIDING).await;
            }
        })
    }

    async fn is_too_young(&self, contract: Address, tag: &str) -> Result<bool> {
        let params = array([contract.to_string().as_str(), tag]);
        Ok(self.rpc.agreed("eth_getCode", params, whole).await?.as_string().is_some_and(|code| code == "0x"))
    }

    /// What the contract owes an account since it could not be paid, at a block.
    pub fn credit(&self, asset: Asset, owner: Address, block: u64) -> Work<'_, Amount> {
        Box::pin(async move {
            let call = IFarthing::creditCall { asset, owner };
            let credit: U256 = self.ask(self.domain.contract(), &call, &format!("{block:#x}")).await?.number(0)?;
            Ok(Amount::new(u128::try_from(credit).unwrap_or(u128::MAX)))
        })
    }

    /// What the contract may take of the owner's tokens.
    pub async fn allowance(&self, token: Address, owner: Address) -> Result<U256> {
        self.ask(token, &IERC20::allowanceCall { owner, spender: self.domain.contract() }, "latest").await?.number(0)
    }

    /// Whether the EVM refuses a call of this account now.
    pub async fn reverts(&self, from: Address, to: Address, data: &Bytes) -> Result<bool> {
        let call =
            object([("from", from.to_string().into()), ("to", to.to_string().into()), ("data", hex(data).into())]);
        match self.rpc.request("eth_call", array([call, JsValue::from("latest")])).await {
            Ok(_) => Ok(false),
            Err(failure) if failure.code() == Code::TransactionFailed => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// What an account has of an asset.
    pub async fn balance(&self, asset: Asset, owner: Address) -> Result<U256> {
        if asset != farthing_protocol::ETH {
            return self.ask(asset, &IERC20::balanceOfCall { owner }, "latest").await?.number(0);
        }
        let params = array([owner.to_string().as_str(), "latest"]);
        let balance = self.rpc.agreed("eth_getBalance", params, whole).await?.as_string().unwrap_or_default();
        balance.parse().map_err(|_| Failure::new(Code::ChainUnavailable, "The RPC gave no balance."))
    }
}

/// The parameters of a question for a block.
fn of_block(tag: &str) -> Array {
    array([JsValue::from(tag), false.into()])
}

fn block_of<'a>(rpc: &'a Rpc, tag: &str) -> Work<'a, JsValue> {
    rpc.wanting("eth_getBlockByNumber", of_block(tag), is_block)
}

fn is_block(block: &JsValue) -> bool {
    Block::parse(block).is_some()
}

fn newest(rpc: &Rpc) -> Work<'_, JsValue> {
    block_of(rpc, "latest")
}

/// The numbers that a view function returned.
#[derive(Debug)]
pub struct Words {
    words: Vec<U256>,
    what: &'static str,
}

impl Words {
    /// The number in this place, if it has so few bits.
    pub fn number<T: TryFrom<U256>>(&self, index: usize) -> Result<T> {
        let number = self.words.get(index).and_then(|word| T::try_from(*word).ok());
        number.ok_or_else(|| Failure::new(Code::ChainUnavailable, format!("{} answered something else.", self.what)))
    }
}
