//! Taking money out with the hub's signature: some of it, or all of it and the end of the channel.

use super::Client;
use crate::chain::send::Stage;
use crate::failure::{Failure, Result};
use crate::js::now;
use crate::signer::typed_data;
use crate::task::{Either, Once, race, sleep};
use alloy_primitives::{Address, Bytes};
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::types::{Asset, Side};
use farthing_protocol::{Amount, Code};

/// How long both signatures hold, in seconds. Until then the money counts as gone.
const DEADLINE: u64 = 30 * 60;

/// How long the hub may take to sign, and payments in flight to settle before a closing, in milliseconds.
const SIGNING: u32 = 30_000;
const SETTLING: u32 = 15_000;

/// Told where a transaction stands; its hash, unless the hub sends it.
pub type Progress = Box<dyn Fn(Stage, Option<&str>)>;

/// What to withdraw.
pub struct WithdrawRequest {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Where to; the owner by default.
    pub to: Option<Address>,
    /// Whether the hub shall send the transaction.
    pub relay: bool,
    /// Told where the transaction stands.
    pub progress: Progress,
}

/// What to close.
pub struct CloseRequest {
    /// Which assets; all by default.
    pub assets: Option<Vec<Asset>>,
    /// Whether the hub shall send the transaction.
    pub relay: bool,
    /// Told where the transaction stands.
    pub progress: Progress,
}

impl std::fmt::Debug for WithdrawRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithdrawRequest")
            .field("asset", &self.asset)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CloseRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloseRequest").field("assets", &self.assets).finish_non_exhaustive()
    }
}

impl Client {
    /// Withdraws. Gives the transaction's hash, unless the hub sent it.
    pub async fn withdraw(&self, request: WithdrawRequest) -> Result<Option<String>> {
        let WithdrawRequest { asset, amount, to, relay, progress } = request;
        self.check_open()?;
        if amount.is_zero() {
            return Err(Code::InvalidAmount.into());
        }
        self.terms().of(asset)?;
        let owner = self.owner.address();
        let recipient = to.unwrap_or(owner);
        let deadline = now().saturating_add(DEADLINE);
        let owner_signature = match recipient == owner {
            true => Bytes::new(),
            false => {
                let terms = self.wallet.borrow().next_withdrawal(asset, amount, recipient, deadline)?;
                let data = typed_data::withdrawal(&self.chain.domain, &terms.to_abi(self.id));
                self.owner.sign(&data).await?.into()
            }
        };
        self.declined.take();
        let withdrawal =
            self.wallet.borrow_mut().withdraw(asset, amount, recipient, owner_signature, deadline, relay)?;
        self.work.ring();
        let total = withdrawal.total;
        let id = format!("{}/withdraw/{asset}/{}/{total}/{deadline}", self.id, Side::A.index());
        let is_signed = || {
            let wallet = self.wallet.borrow();
            let book = wallet.channel().state().assets.get(&asset);
            book.is_some_and(|book| {
                let signed = book.withdrawals.iter().find(|signed| signed.withdrawal == withdrawal);
                *book.withdrawn.of(Side::A) >= total || signed.is_some_and(|signed| signed.signatures.b.is_some())
            })
        };
        self.until_signed("withdraw", is_signed).await?;
        let is_done = || self.wallet.borrow().balance(asset).withdrawn >= total;
        self.until_paid_out(&id, relay, &progress, is_done).await
    }

    /// Closes assets: both sides get what is theirs at once, and nothing more can be paid with them.
    pub async fn close(&self, request: CloseRequest) -> Result<Option<String>> {
        let CloseRequest { assets, relay, progress } = request;
        self.check_open()?;
        let assets = match assets {
            Some(assets) => assets,
            None => self.open_assets(),
        };
        if assets.is_empty() {
            return Err(Failure::new(Code::ChannelClosed, "There is nothing in this channel to close."));
        }
        self.declined.take();
        let deadline = now().saturating_add(DEADLINE);
        let closing = match race(self.propose_closing(&assets, deadline, relay), sleep(SETTLING)).await {
            Either::First(closing) => closing?,
            Either::Second(()) => return Err(Code::LocksPending.into()),
        };
        self.work.ring();
        let names: Vec<String> = closing.assets.iter().map(|entry| entry.asset.to_string()).collect();
        let id = format!("{}/close/{}/{deadline}", self.id, names.join("+"));
        let first = closing.assets.first().map(|entry| entry.asset).unwrap_or_default();
        let is_signed = || {
            let wallet = self.wallet.borrow();
            let book = wallet.channel().state().assets.get(&first);
            book.is_some_and(|book| {
                let signed = book.closing.as_ref().filter(|signed| signed.closing == closing);
                book.status != AssetStatus::Open || signed.is_some_and(|signed| signed.signatures.b.is_some())
            })
        };
        self.until_signed("close", is_signed).await?;
        let is_done = || {
            let wallet = self.wallet.borrow();
            assets.iter().all(|asset| wallet.balance(*asset).status != AssetStatus::Open)
        };
        self.until_paid_out(&id, relay, &progress, is_done).await
    }

    /// Proposes as soon as no payment is in flight any more.
    async fn propose_closing(
        &self,
        assets: &[Asset],
        deadline: u64,
        relay: bool,
    ) -> Result<farthing_protocol::message::Closing> {
        loop {
            let proposed = self.wallet.borrow_mut().close(assets, deadline, relay);
            match proposed {
                Err(error) if error.code() == Code::LocksPending => self.changed().await?,
                other => return Ok(other?),
            }
        }
    }

    fn open_assets(&self) -> Vec<Asset> {
        let wallet = self.wallet.borrow();
        let books = wallet.channel().state().assets.iter();
        let funded = |deposits: &farthing_protocol::Sides<Amount>| !deposits.a.is_zero() || !deposits.b.is_zero();
        books
            .filter(|(_, book)| book.status == AssetStatus::Open && funded(&book.deposits))
            .map(|(asset, _)| *asset)
            .collect()
    }

    /// Waits for the hub's signature, or its refusal.
    async fn until_signed(&self, what: &str, is_signed: impl Fn() -> bool) -> Result<()> {
        let signed = async {
            while !is_signed() {
                let declined = self.declined.borrow().clone();
                if let Some((_, failure)) = declined.filter(|(declined, _)| declined == what) {
                    return Err(failure);
                }
                self.changed().await?;
            }
            Ok(())
        };
        match race(signed, sleep(SIGNING)).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => Err(Failure::new(Code::NotConnected, "The hub has not signed.")),
        }
    }

    /// Waits for the transaction, ours or the hub's, and until the chain has told the wallet of it.
    async fn until_paid_out(
        &self,
        id: &str,
        relay: bool,
        progress: &Progress,
        is_done: impl Fn() -> bool,
    ) -> Result<Option<String>> {
        let mut hash = None;
        if relay {
            progress(Stage::Submitted, None);
        } else {
            let sent = self.until_end(Box::pin(self.submission(id))).await?;
            progress(Stage::Submitted, Some(&sent));
            let tell = |stage| progress(stage, Some(&sent));
            self.until_end(self.chain.confirmed(&sent, self.chain.confirmations, &tell)).await?;
            hash = Some(sent);
        }
        while !is_done() {
            self.changed().await?;
        }
        if relay {
            progress(Stage::Confirmed, None);
        }
        Ok(hash)
    }

    pub(super) async fn submission(&self, id: &str) -> Result<String> {
        loop {
            let sent: Option<Once<Result<String>>> = self.submissions.borrow().get(&id.to_owned()).cloned();
            match sent {
                Some(sent) => return sent.wait().await,
                None => self.changed().await?,
            }
        }
    }
}
