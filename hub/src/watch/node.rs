//! Puts a watchtower together: the store and the chain are checked before the first client gets in.

use super::config::WatchConfig;
use super::store::TowerStore;
use super::tower::{Parts, Tower};
use crate::chain::{Rpc, Sender, SenderConfig, Watcher, WatcherConfig};
use crate::health::Health;
use crate::node::check_chain;
use crate::rpc::tower::{TowerApp, tower_app};
use crate::store::{Sqlite, Store};
use anyhow::{Context, Result, bail};
use farthing_protocol::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long open requests may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);

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
        let rpc = Rpc::new(config.rpc_url.0.clone());
        check_chain(&rpc, config.rpc_host(), config.chain_id, config.contract).await?;
        let (known, unread) = (store.ids().await?, store.unchecked().await?);
        tracing::info!(channels = known.len(), rpc = config.rpc_host(), "restored");

        let health = Arc::new(Health::new(config.poll_interval, config.max_chain_age));
        let (orders, ordered) = mpsc::unbounded_channel();
        let (looks, to_read) = mpsc::unbounded_channel();
        let parts = Parts { store, rpc: rpc.clone(), health: Arc::clone(&health), orders, looks };
        let (tower, writing) = Tower::start(config.clone(), parts);
        // Warns of an empty gas account before the first client relies on it.
        tower.set_balance(rpc.balance(config.gas_key.address()).await.context("rpc_url")?);
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr().context("the listening address")?;

        let watcher = WatcherConfig {
            contract: config.contract,
            assets: None,
            confirmations: config.confirmations,
            poll_interval: config.poll_interval,
            log_range: config.log_range,
        };
        let watcher = Watcher::new(
            watcher,
            rpc.clone(),
            Arc::clone(&sqlite) as Arc<dyn Store>,
            tower.clone(),
            known,
            to_read,
            Arc::clone(&health),
        );
        let sender = SenderConfig {
            chain_id: config.chain_id,
            contract: config.contract,
            owner: config.gas_key.clone(),
            stuck_after: config.stuck_after,
        };
        let sender =
            Sender::new(sender, rpc, Arc::clone(&sqlite) as Arc<dyn Store>, tower.clone(), ordered, health.looks());
        let tasks = Tasks {
            watcher: tokio::spawn(watcher.with_unread(unread).run()),
            sender: tokio::spawn(sender.run()),
            writer: tokio::spawn(writing),
        };
        let stop = watch::Sender::new(false);
        let app = TowerApp::new(tower.clone(), Arc::clone(&health));
        let ended = tokio::spawn(run(listener, app, tasks, sqlite, stop.clone()));
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
    watcher: JoinHandle<()>,
    sender: JoinHandle<()>,
    writer: JoinHandle<Result<(), Error>>,
}

/// Serves until it is stopped or the store fails.
async fn run(
    listener: TcpListener,
    app: Arc<TowerApp>,
    mut tasks: Tasks,
    sqlite: Arc<Sqlite>,
    stop: watch::Sender<bool>,
) -> Result<()> {
    let (mut asked, mut stopping) = (stop.subscribe(), stop.subscribe());
    let service = tower_app(app).into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(
        axum::serve(listener, service)
            .with_graceful_shutdown(async move {
                let _ = stopping.wait_for(|stopping| *stopping).await;
            })
            .into_future(),
    );
    let failed = tokio::select! {
        ended = &mut tasks.writer => Some(ended),
        _ = asked.wait_for(|stopping| *stopping) => None,
    };
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    tasks.watcher.abort();
    tasks.sender.abort();
    let _ = tokio::join!(tasks.watcher, tasks.sender);
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
    closed.context("the store did not close")
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
