//! Taking money out with the hub's signature: some of it, or all of it and the end of the channel.

use super::{Client, OFFLINE};
use crate::chain::send::Stage;
use crate::failure::{Failure, Result};
use crate::js::date_text;
use crate::signal::Standing;
use crate::signer::typed_data;
use crate::task::{Either, Once, Waits, race, sleep};
use alloy_primitives::{Address, Bytes};
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::channel::CallId;
use farthing_protocol::message::{Closing, Withdrawal};
use farthing_protocol::types::Asset;
use farthing_protocol::{Amount, Code, Matter};
use std::cell::RefCell;

/// How long both signatures hold, in seconds. Until then the money counts as gone, and an asset of a closing is of no
/// use, whether or not the hub has signed: it may still do so.
const DEADLINE: u64 = 10 * 60;

/// The shortest that is of use, and the longest that a hub signs, a little less, in seconds.
const SHORTEST: u64 = 2 * 60;
const LONGEST: u64 = 55 * 60;

/// How long the hub may take to sign, and payments in flight to settle before a closing, in milliseconds.
const SIGNING: u32 = 30_000;
const SETTLING: u32 = 15_000;

/// How long both sides may take to count the same deposits before a closing, in milliseconds.
const AGREEING: u32 = 5_000;

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

/// A call pays something out, until it ends or is not waited for any more.
struct PayingOut<'a> {
    all: &'a RefCell<Vec<CallId>>,
    id: &'a CallId,
}

impl<'a> PayingOut<'a> {
    fn of(all: &'a RefCell<Vec<CallId>>, id: &'a CallId) -> Self {
        all.borrow_mut().push(id.clone());
        Self { all, id }
    }
}

impl Drop for PayingOut<'_> {
    fn drop(&mut self) {
        self.all.borrow_mut().retain(|id| id != self.id);
    }
}

/// What a failure means after both may have signed.
fn signed_before(failure: Failure, known: &Standing) -> Failure {
    match failure.code() {
        // It says so already, or says what became of it.
        Code::Unanswered | Code::ClientClosed | Code::StorageFailed | Code::StorageLocked => failure,
        Code::TransactionFailed if !failure.detail().contains("never sent") => failure,
        Code::WalletRejected => {
            let said = format!("The user said no to the transaction, so it was not sent. {}", known.said());
            failure.means(&said)
        }
        _ => failure.because(&known.said()),
    }
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
    pub async fn withdraw(&self, request: WithdrawRequest, known: &Standing) -> Result<Option<String>> {
        let WithdrawRequest { asset, amount, to, relay, progress } = request;
        self.check_open()?;
        self.signer()?;
        if amount.is_zero() {
            return Err(Code::InvalidAmount.into());
        }
        self.terms().of(asset)?;
        // What is signed for nothing is of no use until its deadline.
        self.until_connected(OFFLINE).await?;
        let recipient = to.unwrap_or(self.owner.address());
        let (withdrawal, relay) = match self.unpaid_withdrawal(asset, amount, recipient)? {
            Some(withdrawal) => {
                self.forget_failed(&CallId::withdrawal(self.id, &withdrawal)).await;
                self.declined.take();
                let relay = self.wallet.borrow_mut().repeat_withdrawal(&withdrawal, relay)?;
                (withdrawal, relay)
            }
            None => (self.sign_withdrawal(asset, amount, recipient, relay, known).await?, relay),
        };
        let id = CallId::withdrawal(self.id, &withdrawal);
        let _paying = PayingOut::of(&self.paying_out, &id);
        let until = date_text(withdrawal.deadline);
        known.sent(format!(
            "A withdrawal is signed, and may be paid out until {until}; what is not paid out by then is available again. \
             The same call goes on with it."
        ));
        self.work.ring();
        let is_signed = || self.wallet.borrow().channel().is_agreed_withdrawal(&withdrawal);
        let unrelayed = || -> Result<()> { Ok(self.wallet.borrow_mut().withdraw_ourselves(&withdrawal)?) };
        let paid = async {
            let relay = self.until_agreed(&Matter::Withdraw, relay, &progress, &is_signed, &unrelayed, known).await?;
            let is_done = || self.wallet.borrow().balance(asset).withdrawn >= withdrawal.total;
            let is_open = || self.wallet.borrow().channel().is_open_withdrawal(&withdrawal);
            self.until_paid_out(&id, relay, &progress, &is_done, &is_open, known).await
        };
        paid.await.map_err(|failure| match failure.code() {
            // A withdrawal pays its recipient or reverts.
            Code::TransactionFailed if failure.detail().contains("reverted") => failure.because(&format!(
                "No money moved: {recipient} may refuse this asset. Withdraw to another account with `to` after {until}, \
                 when the amount is available again, or close(), after which collectCredit() can fetch what was refused."
            )),
            _ => signed_before(failure, known),
        })
    }

    /// Signs, and the owner too where the money goes to another.
    async fn sign_withdrawal(
        &self,
        asset: Asset,
        amount: Amount,
        recipient: Address,
        relay: bool,
        known: &Standing,
    ) -> Result<Withdrawal> {
        let deadline = self.deadline().await?;
        let owner_signature = match recipient == self.owner.address() {
            true => Bytes::new(),
            false => {
                let terms = self.wallet.borrow().next_withdrawal(asset, amount, recipient, deadline);
                let terms = terms.map_err(|error| self.lacking(asset, amount, error.into()))?;
                self.asks_owner(known);
                let data = typed_data::withdrawal(&self.chain.domain, &terms.to_abi(self.id));
                let signature = self.owner.sign(&data).await?;
                let signature = self.chain.owners(self.owner.address(), data.digest, signature).await?;
                // A person takes time to sign: what was withdrawn meanwhile is in the total, and so not what was signed.
                if self.wallet.borrow().next_withdrawal(asset, amount, recipient, deadline).ok() != Some(terms) {
                    let detail = "Another withdrawal was signed or mined meanwhile, or the money spent, so the owner's \
                                  signature fits no more. No money moved; call again.";
                    return Err(Failure::advised(Code::ChainStale, detail));
                }
                signature
            }
        };
        self.declined.take();
        let signed = self.wallet.borrow_mut().withdraw(asset, amount, recipient, owner_signature, deadline, relay);
        signed.map_err(|error| self.lacking(asset, amount, error.into()))
    }

    /// A withdrawal by the same terms that is signed and that no call pays out: its transaction was not sent, or nobody
    /// waited for it. It takes the money out once, however often it is asked for. Another one beside it would pay its
    /// recipient both, so it is refused.
    fn unpaid_withdrawal(&self, asset: Asset, amount: Amount, recipient: Address) -> Result<Option<Withdrawal>> {
        let open = self.wallet.borrow().channel().open_withdrawals(asset);
        let is_paying = |open: &Withdrawal| self.paying_out.borrow().contains(&CallId::withdrawal(self.id, open));
        let unpaid = open.iter().find(|(open, _)| !is_paying(open));
        match unpaid.or_else(|| open.iter().find(|(open, _)| open.recipient != recipient)) {
            None => Ok(None),
            Some((open, adds)) if !is_paying(open) && open.recipient == recipient && *adds == amount => Ok(Some(*open)),
            Some((open, adds)) => {
                let (terms, until) = (self.terms(), date_text(open.deadline));
                let adds = terms.of(asset)?.show(*adds);
                Err(Failure::advised(
                    Code::Unanswered,
                    format!(
                        "Nothing new was signed. A withdrawal of {adds} to {} is signed and may be paid out until {until}: \
                         ask for that one again, or wait until then.",
                        open.recipient
                    ),
                ))
            }
        }
    }

    /// A closing of ours of these assets that is signed and that no call waits for.
    fn unpaid_closing(&self, assets: Option<&[Asset]>) -> Result<Option<Closing>> {
        let wallet = self.wallet.borrow();
        let channel = wallet.channel();
        let Some(open) = channel.assets().find_map(|asset| channel.open_closing(asset)) else { return Ok(None) };
        if self.paying_out.borrow().contains(&CallId::closing(self.id, open)) {
            return Ok(None);
        }
        let named = |asset: &Asset| open.assets.iter().any(|entry| entry.asset == *asset);
        if assets.is_none_or(|assets| assets.len() == open.assets.len() && assets.iter().all(named)) {
            return Ok(Some(open.clone()));
        }
        let until = date_text(open.deadline);
        let detail = format!("A closing of other assets is signed and may be mined until {until}.");
        Err(Failure::new(Code::ChannelClosing, detail))
    }

    /// What could not be sent may be sent anew. What was sent, or is being sent, is waited for.
    async fn forget_failed(&self, id: &CallId) {
        let sent = self.submissions.borrow().get(id).cloned();
        if let Some(sent) = sent.filter(Once::is_sent)
            && sent.wait().await.is_err()
        {
            self.submissions.borrow_mut().remove(id);
            self.wallet.borrow_mut().submit_failed(id);
        }
    }

    /// Until when signatures hold. While nothing says whether the device is ahead or the chain old, it is one that the hub
    /// takes in either case; where there is none nothing is signed that would hold for days. A development node that makes
    /// blocks for transactions only is old, and the device right.
    async fn deadline(&self) -> Result<u64> {
        if !self.is_fresh() {
            self.freshen().await;
        }
        let now = self.wallet.borrow().channel().latest_time(self.chain.now());
        let most = self.chain.least_time().saturating_add(LONGEST);
        match now.saturating_add(SHORTEST) {
            shortest if shortest > most && !self.chain.is_local() => Err(self.explained(Code::ChainStale.into())),
            shortest => Ok(now.saturating_add(DEADLINE).min(most).max(shortest)),
        }
    }

    /// Closes assets: both sides get what is theirs at once, and nothing more can be paid with them.
    pub async fn close(&self, request: CloseRequest, known: &Standing) -> Result<Option<String>> {
        let CloseRequest { assets, relay, progress } = request;
        self.check_open()?;
        self.signer()?;
        self.until_connected(OFFLINE).await?;
        let (closing, relay) = match self.unpaid_closing(assets.as_deref())? {
            Some(closing) => {
                self.forget_failed(&CallId::closing(self.id, &closing)).await;
                self.declined.take();
                let relay = self.wallet.borrow_mut().repeat_closing(&closing, relay)?;
                (closing, relay)
            }
            None => (self.sign_closing(assets, relay).await?, relay),
        };
        let assets: Vec<Asset> = closing.assets.iter().map(|entry| entry.asset).collect();
        let id = CallId::closing(self.id, &closing);
        let _paying = PayingOut::of(&self.paying_out, &id);
        known.sent(format!(
            "A closing is signed, and may be mined until {0}; until then nothing can be paid with these assets. The same \
             call goes on with it.",
            date_text(closing.deadline)
        ));
        self.work.ring();
        let first = closing.assets.first().map(|entry| entry.asset).unwrap_or_default();
        let is_signed = || self.wallet.borrow().channel().is_agreed_closing(&closing);
        let unrelayed = || -> Result<()> { Ok(self.wallet.borrow_mut().close_ourselves(&closing)?) };
        let closed = async {
            let relay = self.until_agreed(&Matter::Close, relay, &progress, &is_signed, &unrelayed, known).await?;
            let is_done = || {
                let wallet = self.wallet.borrow();
                assets.iter().all(|asset| wallet.balance(*asset).status != AssetStatus::Open)
            };
            let is_open = || self.wallet.borrow().channel().is_closing(first);
            self.until_paid_out(&id, relay, &progress, &is_done, &is_open, known).await
        };
        let hash = closed.await.map_err(|failure| signed_before(failure, known))?;
        self.tell_credits().await;
        Ok(hash)
    }

    async fn sign_closing(&self, assets: Option<Vec<Asset>>, relay: bool) -> Result<Closing> {
        let assets = match assets {
            Some(assets) => assets,
            None => self.closable().await?,
        };
        if assets.is_empty() {
            return Err(Failure::new(Code::ChannelClosed, "There is nothing in this channel to close."));
        }
        self.declined.take();
        let deadline = self.deadline().await?;
        match race(self.propose_closing(&assets, deadline, relay), sleep(SETTLING)).await {
            Either::First(closing) => closing,
            Either::Second(()) if self.is_uncounted(&assets) => Err(self.uncounted()),
            Either::Second(()) => Err(Code::LocksPending.into()),
        }
    }

    /// Proposes as soon as no payment is in flight any more and the hub counts the same deposits: it would sign nothing
    /// else, and what we signed for nothing would keep us from paying until its deadline. [15]
    async fn propose_closing(&self, assets: &[Asset], deadline: u64, relay: bool) -> Result<Closing> {
        loop {
            if self.is_uncounted(assets) {
                self.changed().await?;
                continue;
            }
            let proposed = self.wallet.borrow_mut().close(assets, deadline, relay);
            match proposed {
                Err(error) if error.code() == Code::LocksPending => self.changed().await?,
                other => return Ok(other?),
            }
        }
    }

    /// What a closing names by default. Of what the hub does not count after a while, such as what somebody put into a
    /// token that it does not list any more, the rest is not kept from being closed.
    async fn closable(&self) -> Result<Vec<Asset>> {
        let ours = || self.wallet.borrow().channel().closable();
        let agreed = async {
            while self.is_uncounted(&ours()) {
                self.changed().await?;
            }
            Ok::<(), Failure>(())
        };
        let _ = race(agreed, sleep(AGREEING)).await;
        let mut assets = ours();
        let any = !assets.is_empty();
        assets.retain(|asset| !self.is_uncounted(&[*asset]));
        if any && assets.is_empty() { Err(self.uncounted()) } else { Ok(assets) }
    }

    /// Whether the hub has not said that it counts the deposits that we count in one of these.
    fn is_uncounted(&self, assets: &[Asset]) -> bool {
        let wallet = self.wallet.borrow();
        let held = wallet.channel().closable();
        assets.iter().any(|asset| held.contains(asset) && !wallet.channel().peer_counts(*asset))
    }

    fn uncounted(&self) -> Failure {
        if !self.connected.get() {
            return Code::NotConnected.into();
        }
        let detail = "The hub does not count the same deposits as we do yet, so nothing was signed.";
        Failure::new(Code::ChainStale, detail)
    }

    /// Waits for the hub's signature. A hub that won't send the transaction is asked for its signature alone. Gives
    /// whether the hub sends it.
    async fn until_agreed(
        &self,
        what: &Matter,
        relay: bool,
        progress: &Progress,
        is_signed: &dyn Fn() -> bool,
        unrelayed: &dyn Fn() -> Result<()>,
        known: &Standing,
    ) -> Result<bool> {
        let _asks = Waits::new(&self.asking);
        match self.until_signed(what, is_signed, known).await {
            Err(failure) if relay && failure.code() == Code::LimitExceeded => {
                progress(Stage::RelayRefused, None);
                self.declined.take();
                unrelayed()?;
                self.work.ring();
                self.until_signed(what, is_signed, known).await?;
                Ok(false)
            }
            signed => signed.map(|()| relay),
        }
    }

    /// Waits for the hub's signature, or its refusal.
    async fn until_signed(&self, what: &Matter, is_signed: &dyn Fn() -> bool, known: &Standing) -> Result<()> {
        let signed = async {
            while !is_signed() {
                let declined = self.declined.borrow().clone();
                if let Some((_, failure)) = declined.filter(|(declined, _)| declined == what) {
                    return Err(self.explained(failure));
                }
                self.changed().await?;
            }
            Ok(())
        };
        match race(signed, sleep(SIGNING)).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => Err(known.unanswered("The hub has not signed.")),
        }
    }

    /// Waits for the transaction, ours or the hub's, and until the chain has told the wallet of it.
    async fn until_paid_out(
        &self,
        id: &CallId,
        relay: bool,
        progress: &Progress,
        is_done: &dyn Fn() -> bool,
        is_open: &dyn Fn() -> bool,
        known: &Standing,
    ) -> Result<Option<String>> {
        let lapsed = async {
            while is_done() || is_open() {
                self.changed().await?;
            }
            Ok::<(), Failure>(())
        };
        match race(Box::pin(self.until_mined(id, relay, progress, is_done, known)), lapsed).await {
            Either::First(outcome) => outcome,
            Either::Second(Err(failure)) => Err(failure),
            Either::Second(Ok(())) => {
                let detail = "The transaction was not mined before its deadline, and can't be any more.";
                Err(Failure::new(Code::TransactionFailed, detail))
            }
        }
    }

    async fn until_mined(
        &self,
        id: &CallId,
        relay: bool,
        progress: &Progress,
        is_done: &dyn Fn() -> bool,
        known: &Standing,
    ) -> Result<Option<String>> {
        let mut hash = None;
        if relay {
            progress(Stage::Submitted, None);
        } else {
            let sent = self.until_end(Box::pin(self.submission(id))).await?;
            known
                .sent(format!("Transaction {sent} was sent, and pays out when it is mined; balances() shows whether."));
            progress(Stage::Submitted, Some(&sent));
            let tell = |stage| progress(stage, Some(&sent));
            let (owner, confirmations) = (self.owner.address(), self.chain.confirmations());
            self.until_end(self.chain.confirmed(owner, &sent, confirmations, is_done, &tell)).await?;
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

    pub(super) async fn submission(&self, id: &CallId) -> Result<String> {
        loop {
            let sent: Option<Once<Result<String>>> = self.submissions.borrow().get(id).cloned();
            match sent {
                Some(sent) => return sent.wait().await,
                None => self.changed().await?,
            }
        }
    }
}
