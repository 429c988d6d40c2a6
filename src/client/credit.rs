//! Credits: what the contract could not pay out, since the token or the owner's account refused it, stays there in the
//! owner's name. It is looked for after every payout, told, and fetched when asked for.

use super::{Client, Notice, Progress};
use crate::chain::send::Stage;
use crate::failure::{Failure, Result};
use crate::js::random;
use crate::signal::Standing;
use crate::task::{Either, race, sleep};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use farthing_protocol::abi::{CreditOrder, IFarthing};
use farthing_protocol::types::Asset;
use farthing_protocol::{Amount, Code};
use std::rc::Rc;

/// The first and the longest pause before credits are asked for again, in milliseconds.
const AGAIN: (u32, u32) = (2_000, 600_000);

/// How long a call waits to tell what became a credit, in milliseconds.
const PATIENCE: u32 = 5_000;

/// How long balances wait for credits, in milliseconds.
const ASKING: u32 = 1_000;

/// Which credit to fetch.
pub struct CollectRequest {
    /// Which asset.
    pub asset: Asset,
    /// Where to; the owner by default.
    pub to: Option<Address>,
    /// Told where the transaction stands.
    pub progress: Progress,
}

impl std::fmt::Debug for CollectRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CollectRequest").field("asset", &self.asset).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Client {
    /// What the contract keeps for us of an asset, as it was read last; `None` if it was not read yet.
    #[must_use]
    pub fn credit(&self, asset: Asset) -> Option<Amount> {
        self.credits.borrow().get(&asset).copied()
    }

    /// Fetches a credit. Gives the transaction's hash.
    pub async fn collect_credit(&self, request: CollectRequest, known: &Standing) -> Result<String> {
        let CollectRequest { asset, to, progress } = request;
        self.check_open()?;
        self.come_to_chain(known).await?;
        let owner = self.owner.address();
        let amount = self.chain.credit(asset, owner, self.chain.read_head().await?.number).await?;
        if amount.is_zero() {
            return Err(Failure::advised(
                Code::InsufficientFunds,
                "The contract keeps nothing of this asset for this account.",
            ));
        }
        let units = U256::from(amount.units());
        let data = match to.filter(|to| *to != owner) {
            None => IFarthing::payCreditCall { asset, owner, amount: units }.abi_encode(),
            // Nobody else can send it without the owner's signature, so it needs none, and no deadline.
            Some(recipient) => {
                let order = CreditOrder {
                    asset,
                    owner,
                    recipient,
                    amount: units,
                    salt: B256::from(random::<32>()?),
                    deadline: 0,
                };
                IFarthing::redirectCreditCall { order, ownerSignature: Bytes::new() }.abi_encode()
            }
        };
        self.asks_owner(known);
        known
            .sent("Who is to send it was asked: the credit is paid out if that goes on, and stays where it is if not.");
        let sent = async {
            let hash = self.chain.send(&self.owner, self.chain.domain.contract(), U256::ZERO, data.into()).await?;
            progress(Stage::Submitted, Some(&hash));
            let tell = |stage| progress(stage, Some(&hash));
            let (owner, confirmations) = (self.owner.address(), self.chain.confirmations());
            let mined = Box::pin(self.until_end(self.chain.confirmed(owner, &hash, confirmations, &|| false, &tell)));
            let before = self.credit(asset).unwrap_or_default();
            let seen = self.until_done(async || {
                let block = self.chain.head().final_number;
                Ok(self.chain.credit(asset, owner, block).await? < before)
            });
            match race(mined, Box::pin(seen)).await {
                Either::First(mined) => mined?,
                Either::Second(()) => progress(Stage::Confirmed, Some(&hash)),
            }
            Ok(hash)
        };
        let outcome: Result<String> = sent.await;
        let hash = outcome.map_err(|failure| match failure.code() {
            Code::TransactionFailed => failure.because(&format!(
                "The credit stays where it was: {} may refuse this asset. Name another account with `to`.",
                to.unwrap_or(owner)
            )),
            _ => failure,
        })?;
        let _ = self.read_credits().await;
        Ok(hash)
    }

    /// Reads what the contract keeps for us, until the client ends: at the start, and whenever something was paid out.
    pub(super) async fn keep_credits(self: Rc<Self>) {
        while let Either::Second(()) = race(self.closed.wait(), self.uncollected.rings()).await {
            let mut pause = AGAIN.0;
            loop {
                let outcome = race(self.closed.wait(), self.read_credits()).await;
                self.credits_asked.send(());
                if !matches!(outcome, Either::Second(Err(_))) {
                    break;
                }
                if let Either::First(()) = race(self.closed.wait(), sleep(pause)).await {
                    return;
                }
                pause = pause.saturating_mul(2).min(AGAIN.1);
            }
        }
    }

    /// Waits until credits were asked for once, a little: who looks at balances sees them, and a node that is slow or
    /// refuses keeps nobody from the rest.
    pub async fn credits_asked(&self) {
        let _ = race(self.credits_asked.wait(), sleep(ASKING)).await;
    }

    /// Before a call resolves that paid out: tells what became a credit, if that can be read soon.
    pub(super) async fn tell_credits(&self) {
        let _ = race(self.read_credits(), sleep(PATIENCE)).await;
    }

    async fn read_credits(&self) -> Result<()> {
        let (owner, block) = (self.owner.address(), self.chain.head().final_number);
        for terms in &self.terms().assets {
            let amount = self.chain.credit(terms.asset, owner, block).await?;
            let before = self.credit(terms.asset).unwrap_or_default();
            self.credits.borrow_mut().insert(terms.asset, amount);
            if amount > before {
                self.tell(Notice::Credit { asset: terms.asset, amount });
            }
        }
        self.work.ring();
        Ok(())
    }
}
