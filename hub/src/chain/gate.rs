//! Nothing is read of a chain or sent to it before it is known to be the right one.

use super::rpc::Rpc;
use crate::health::Health;
use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the RPC is waited for before probes and clients are let in, who are told what it waits for.
pub(crate) const RPC_PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts at the RPC, which take their time by themselves.
pub(crate) const RPC_PAUSE: Duration = Duration::from_millis(500);
/// How often it is logged that the node still waits.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What has to be known of the chain before anything is read of it or sent to it.
#[derive(Debug)]
pub(crate) struct Gate {
    check: Option<JoinHandle<Result<()>>>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Gives the check a moment; an error if it has failed by then.
    pub(crate) async fn new(check: impl Future<Output = Result<()>> + Send + 'static) -> Result<Self> {
        let mut check = tokio::spawn(check);
        let check = match tokio::time::timeout(RPC_PATIENCE, &mut check).await {
            Ok(checked) => {
                checked.context("the check of the chain panicked")??;
                None
            }
            Err(_) => Some(check),
        };
        Ok(Self { open: watch::Sender::new(check.is_none()), check })
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.check.is_none()
    }

    /// Work that waits for the end of the check; it never begins if that fails.
    pub(crate) fn behind<F: Future<Output = ()>>(&self, work: F) -> impl Future<Output = ()> + use<F> {
        let mut open = self.open.subscribe();
        async move {
            if open.wait_for(|open| *open).await.is_ok() {
                work.await;
            }
        }
    }

    /// Ends with the check's error, or when all behind it has ended.
    pub(crate) fn kept(self) -> JoinHandle<Result<()>> {
        tokio::spawn(async move {
            if let Some(check) = self.check {
                check.await.context("the check of the chain panicked")??;
            }
            self.open.send_replace(true);
            self.open.closed().await;
            Ok(())
        })
    }
}

/// Waits until the RPC can be asked, as long as it takes, and refuses another chain or an address without a contract.
/// Why it waits is told to `health`.
pub(crate) async fn until_checked(rpc: &Rpc, expected: u64, contract: Address, health: &Health) -> Result<()> {
    let mut told: Option<Instant> = None;
    while let Err(error) = rpc.telling(health, check_chain(rpc, expected, contract)).await? {
        health.troubled(&error);
        if told.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            told = Some(Instant::now());
            tracing::warn!(%error, "waiting for the RPC");
        }
        tokio::time::sleep(RPC_PAUSE).await;
    }
    Ok(())
}

/// Asks each node that can be reached; the inner error says that none could.
async fn check_chain(rpc: &Rpc, expected: u64, contract: Address) -> Result<Result<(), farthing_protocol::Error>> {
    let mut checked = Err(farthing_protocol::Code::ChainUnavailable.into());
    for node in rpc.each() {
        let asked = async { Ok((node.chain_id().await?, node.has_code(contract).await?)) };
        match asked.await {
            Ok((chain_id, has_code)) => {
                let origin = node.origins();
                ensure!(chain_id == expected, "chain_id: configured is {expected}, the RPC {origin} has {chain_id}");
                ensure!(has_code, "contract: there is no contract at {contract}");
                node.note_fits(expected);
                checked = Ok(());
            }
            Err(error) => checked = checked.or(Err(error)),
        }
    }
    Ok(checked)
}
