//! Taking everything home without the hub's help. The wallet drives the exit by itself, after a reload too; a call
//! only asks for it and follows it.

use super::Client;
use crate::chain::send::Stage;
use crate::failure::Result;
use crate::signal::Standing;
use crate::task::{Either, race};
use farthing_protocol::Code;
use farthing_protocol::channel::ExitStage;
use std::cell::Cell;

/// A step of an exit, as `onProgress` tells it.
#[derive(Clone, Debug)]
pub enum ExitStep {
    /// The transaction that starts it.
    Transaction(Stage, String),
    /// Proofs are taken until this time, Unix seconds.
    Challenge(u64),
    /// The assets were divided; so many locks still hold money of ours, the last until this time, Unix seconds.
    Settled(u32, u64),
    /// Nothing of ours is left in the contract.
    Claimed,
}

/// Told where an exit stands.
pub type ExitProgress = Box<dyn Fn(ExitStep)>;

impl Client {
    /// How long an exit is waited for if the caller does not say, in milliseconds: its challenge period, the last lock's
    /// time, and a day for transactions.
    #[must_use]
    pub fn exit_patience(&self) -> u64 {
        let seconds = u64::from(self.def.challenge_period).saturating_add(self.terms().max_lock_time);
        seconds.saturating_add(24 * 3_600).saturating_mul(1_000)
    }

    /// Leaves without the hub; resolves when nothing of ours is left in the contract.
    pub async fn exit(&self, progress: ExitProgress, known: &Standing) -> Result<()> {
        self.check_open()?;
        self.ask_again().await;
        self.wallet.borrow_mut().exit(self.chain.now())?;
        known.sent("The exit goes on by itself, after the next connect() too; exit() follows it again.");
        self.work.ring();
        let (told, held) = (Cell::default(), Cell::new(false));
        let started = Box::pin(self.tell_start(&progress, &held));
        match race(Box::pin(self.until_left(&progress, &told, &held)), started).await {
            Either::First(outcome) => outcome,
            Either::Second(failed) => {
                failed?;
                self.until_left(&progress, &told, &held).await
            }
        }
    }

    /// What the user refused to send is asked for once more, as who calls `exit()` again wants it.
    async fn ask_again(&self) {
        let sent: Vec<_> = self.submissions.borrow().iter().map(|(id, sent)| (id.clone(), sent.clone())).collect();
        for (id, sent) in sent.into_iter().filter(|(id, sent)| sent.is_sent() && !id.is_agreed()) {
            if sent.wait().await.is_err_and(|failure| failure.code() == Code::WalletRejected) {
                self.submissions.borrow_mut().remove(&id);
                self.wallet.borrow_mut().submit_failed(&id);
            }
        }
    }

    /// Follows the transaction that starts the exit, until the exit has started, by whomever.
    /// Holds back what comes after it: an exit is seen in any block, and its transaction confirmed later.
    async fn tell_start(&self, progress: &ExitProgress, held: &Cell<bool>) -> Result<()> {
        let mut last = None;
        while self.stage() == ExitStage::Starting {
            let id = self.wallet.borrow().channel().starting().cloned();
            match id.filter(|id| last.as_ref() != Some(id)) {
                Some(id) => {
                    held.set(true);
                    let sent = self.submission(&id).await;
                    // It is asked for again only when this is called again, so there is nothing to wait for.
                    if let Err(refused) = sent.as_ref()
                        && refused.code() == Code::WalletRejected
                    {
                        return Err(refused.clone());
                    }
                    if let Ok(hash) = sent {
                        progress(ExitStep::Transaction(Stage::Submitted, hash.clone()));
                        let tell = |stage| progress(ExitStep::Transaction(stage, hash.clone()));
                        let done = || self.stage() != ExitStage::Starting;
                        let (owner, confirmations) = (self.owner.address(), self.chain.confirmations());
                        let _ = self.chain.confirmed(owner, &hash, confirmations, &done, &tell).await;
                    }
                    held.set(false);
                    last = Some(id);
                }
                None => self.changed().await?,
            }
        }
        Ok(())
    }

    async fn until_left(&self, progress: &ExitProgress, told: &Cell<ExitStage>, held: &Cell<bool>) -> Result<()> {
        loop {
            let stage = self.stage();
            if held.get() && matches!(stage, ExitStage::Challenge { .. }) {
                self.changed().await?;
                continue;
            }
            let before = told.replace(stage);
            if stage != before {
                match stage {
                    ExitStage::Challenge { ends_at } => progress(ExitStep::Challenge(ends_at)),
                    ExitStage::Claiming { locks, until } => progress(ExitStep::Settled(locks, until)),
                    ExitStage::Done if !matches!(before, ExitStage::Claiming { .. }) => {
                        progress(ExitStep::Settled(0, 0))
                    }
                    ExitStage::None | ExitStage::Starting | ExitStage::Settling | ExitStage::Done => {}
                }
            }
            // Also when it was told before: who follows may have been interrupted while it asked for credits.
            if stage == ExitStage::Done {
                self.tell_credits().await;
                progress(ExitStep::Claimed);
                return Ok(());
            }
            self.changed().await?;
        }
    }

    fn stage(&self) -> ExitStage {
        self.wallet.borrow().channel().exit_stage()
    }
}
