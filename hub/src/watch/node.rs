//! Puts a watchtower together: the store and the chain are checked before the first client gets in.

use super::config::WatchConfig;
use super::rpc::{TowerApp, tower_app};
use super::store::TowerStore;
use super::tower::{Parts, Tower};
use crate::chain::gate::{Gate, until_checked};
use crate::chain::{Follower, FollowerConfig, Orders, Rpc, Sender, SenderConfig};
use crate::config::DEVELOPMENT_CHAIN;
use crate::health::Health;
use crate::rpc::connections::Connections;
use crate::rpc::serve;
use crate::store::{Sqlite, Store};
use anyhow::{Context, Result, bail};
use farthing_protocol::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long open requests may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// Most connections, in all and of one origin.
const CONNECTIONS: usize = 4_096;
const PER_ORIGIN: usize = 128;
/// How long a connection may say nothing, and read nothing.
const PATIENCE: serve::Patience = serve::Patience { silence: Duration::from_secs(30), write: Duration::from_secs(10) };

/// A running watchtower.
#[derive(Debug)]
pub struct WatchNode {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is.
    pub health: Arc<Health>,
    /// The tower itself.
    pub tower: Tower,
    stop: watch::Sender<bool>,
    ended: JoinHandle<Result<()>>,
}

impl WatchNode {
    /// Starts a tower. Refuses a database of another tower or of a hub, and an RPC of another chain.
    pub async fn start(config: WatchConfig) -> Result<Self> {
        let sqlite = Arc::new(Sqlite::open(&config.database).await?);
        check_identity(&config, &sqlite).await?;
        let store = TowerStore::open(Arc::clone(&sqlite)).await?;
        let rpc = Rpc::of(config.rpc_url.0.clone());
        let (known, unread) = (store.ids().await?, store.unchecked().await?);
        tracing::info!(channels = known.len(), rpc = config.rpc_origins(), "restored");

        let health = Arc::new(Health::new(config.poll_interval, config.max_chain_age));
        let orders = Orders::default();
        let (looks, to_read) = mpsc::unbounded_channel();
        let parts = Parts { store, rpc: rpc.clone(), health: Arc::clone(&health), orders: orders.clone(), looks };
        let (tower, writing) = Tower::start(config.clone(), parts);
        let gate = {
            let (config, rpc, health, tower) = (config.clone(), rpc.clone(), Arc::clone(&health), tower.clone());
            Gate::new(async move {
                until_checked(&rpc, config.chain_id, config.contract, &health).await?;
                // Warns of an empty gas account; what can't be read now is read with the first block.
                if let Ok(balance) = rpc.balance(config.gas_key.address()).await {
                    tower.set_balance(balance);
                }
                Ok(())
            })
            .await?
        };
        let doors = Connections::new(serve::places(serve::open_files()?, CONNECTIONS)?, PER_ORIGIN, true);
        let listener = serve::listen(config.listen)?;
        let address = listener.local_addr().context("the listening address")?;

        let follower = FollowerConfig {
            contract: config.contract,
            assets: None,
            confirmations: config.confirmations,
            poll_interval: config.poll_interval,
            log_range: config.log_range,
        };
        let follower = Follower::new(
            follower,
            rpc.clone(),
            Arc::clone(&sqlite) as Arc<dyn Store>,
            tower.clone(),
            known,
            to_read,
            Arc::clone(&health),
        )
        .with_unread(unread)
        .on_development_chain(config.chain_id == DEVELOPMENT_CHAIN);
        let sender = SenderConfig {
            chain_id: config.chain_id,
            contract: config.contract,
            owner: config.gas_key.clone(),
            stuck_after: config.stuck_after,
            gas: config.gas.clone(),
        };
        let sender =
            Sender::new(sender, rpc, Arc::clone(&sqlite) as Arc<dyn Store>, tower.clone(), orders, health.looks());
        let tasks = Tasks {
            follower: tokio::spawn(gate.behind(follower.run())),
            sender: tokio::spawn(gate.behind(sender.run())),
            gate: gate.kept(),
            writer: tokio::spawn(writing),
        };
        let stop = watch::Sender::new(false);
        let app = TowerApp::new(tower.clone(), Arc::clone(&health));
        let ended = tokio::spawn(run(listener, doors, app, tasks, sqlite, stop.clone()));
        Ok(Self { address, health, tower, stop, ended })
    }

    /// Asks it to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Lets another task ask it to end, by sending `true`.
    #[must_use]
    pub fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Waits for the end; an error if the store failed.
    pub async fn ended(self) -> Result<()> {
        drop(self.tower);
        self.ended.await.context("the tower's task panicked")?
    }
}

#[derive(Debug)]
struct Tasks {
    follower: JoinHandle<()>,
    sender: JoinHandle<()>,
    writer: JoinHandle<Result<(), Error>>,
    /// Ends with an error if the RPC is of another chain.
    gate: JoinHandle<Result<()>>,
}

/// Serves until it is stopped or the store fails.
async fn run(
    listener: tokio::net::TcpListener,
    doors: Arc<Connections>,
    app: Arc<TowerApp>,
    mut tasks: Tasks,
    sqlite: Arc<Sqlite>,
    stop: watch::Sender<bool>,
) -> Result<()> {
    let mut asked = stop.subscribe();
    let serving = tokio::spawn(serve::serve(listener, tower_app(app), doors, PATIENCE, stop.subscribe()));
    let mut misfit = None;
    let failed = tokio::select! {
        ended = &mut tasks.writer => Some(ended),
        checked = &mut tasks.gate => {
            misfit = checked.context("the check of the chain panicked").flatten().err();
            None
        }
        _ = asked.wait_for(|stopping| *stopping) => None,
    };
    stop.send_replace(true);
    let end = serving.abort_handle();
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests did not end in time");
        end.abort();
    }
    tasks.follower.abort();
    tasks.sender.abort();
    tasks.gate.abort();
    let _ = tokio::join!(tasks.follower, tasks.sender);
    let result = match failed {
        Some(ended) => ended.context("the tower panicked")?,
        None => {
            // Whoever waits for an answer has had it, or the drain's time is over.
            tasks.writer.abort();
            Ok(())
        }
    };
    let closed = sqlite.close().await;
    result.context("the store failed")?;
    closed.context("the store did not close")?;
    misfit.map_or(Ok(()), Err)
}

/// One file belongs to one tower: its receipts were signed with one key, and its gas account has one row of nonces.
async fn check_identity(config: &WatchConfig, store: &Sqlite) -> Result<()> {
    let (tower, gas) = (config.signer.address(), config.gas_key.address());
    let identity = format!("watchtower {} {} {tower} {gas}", config.chain_id, config.contract);
    match store.fact("identity").await? {
        None => store.set_fact("identity", identity).await?,
        Some(stored) if stored == identity => {}
        Some(stored) => bail!(
            "{} belongs to another node (chain, contract, tower, gas account): {stored}; this one is {identity}",
            config.database.display()
        ),
    }
    Ok(())
}
