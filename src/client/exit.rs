//! Taking everything home without the hub's help. The wallet drives the exit by itself, after a reload too; a call
//! only asks for it and follows it.

use super::Client;
use crate::chain::send::Stage;
use crate::failure::Result;
use crate::js::now;
use crate::task::{Either, race};
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
    /// Leaves without the hub; resolves when nothing of ours is left in the contract.
    pub async fn exit(&self, progress: ExitProgress) -> Result<()> {
        self.check_open()?;
        self.wallet.borrow_mut().exit(now())?;
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

    /// Follows the transaction that starts the exit, until the exit has started, by whomever.
    /// Holds back what comes after it: an exit is seen in any block, and its transaction confirmed later.
    async fn tell_start(&self, progress: &ExitProgress, held: &Cell<bool>) -> Result<()> {
        let mut last = String::new();
        while self.stage() == ExitStage::Starting {
            let id = self.wallet.borrow().channel().starting().map(str::to_owned);
            match id.filter(|id| *id != last) {
                Some(id) => {
                    held.set(true);
                    if let Ok(hash) = self.submission(&id).await {
                        progress(ExitStep::Transaction(Stage::Submitted, hash.clone()));
                        let tell = |stage| progress(ExitStep::Transaction(stage, hash.clone()));
                        let _ = self.chain.confirmed(&hash, self.chain.confirmations, &tell).await;
                    }
                    held.set(false);
                    last = id;
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
                    ExitStage::Done => {
                        if !matches!(before, ExitStage::Claiming { .. }) {
                            progress(ExitStep::Settled(0, 0));
                        }
                        progress(ExitStep::Claimed);
                        return Ok(());
                    }
                    ExitStage::None | ExitStage::Starting | ExitStage::Settling => {}
                }
            }
            self.changed().await?;
        }
    }

    fn stage(&self) -> ExitStage {
        self.wallet.borrow().channel().exit_stage()
    }
}
