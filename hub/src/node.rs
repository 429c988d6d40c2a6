//! Puts the parts together, in the order that keeps money safe: the store and the chain are checked before the
//! first client gets in, and the store is closed after the last effect.

use crate::chain::{Rpc, Sender, SenderConfig, Watcher, WatcherConfig};
use crate::clock;
use crate::config::Config;
use crate::core::{self, Core, Parts, Unfunded};
use crate::health::Health;
use crate::rpc::{self, App};
use crate::store::Store;
use alloy_primitives::Address;
use anyhow::{Context, Result, bail, ensure};
use axum::serve::ListenerExt;
use farthing_protocol::hub::Hub;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long open requests may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the RPC is waited for at the start.
const RPC_PATIENCE: Duration = Duration::from_secs(30);

/// A running hub.
#[derive(Debug)]
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is.
    pub health: Arc<Health>,
    stop: watch::Sender<bool>,
    ended: JoinHandle<Result<()>>,
}

impl Node {
    /// Starts a hub on a store. Refuses a store of another hub, and an RPC of another chain.
    pub async fn start(config: Config, store: Arc<dyn Store>) -> Result<Self> {
        check_identity(&config, &*store).await?;
        let rpc = Rpc::new(config.rpc_url.0.clone());
        check_chain(&rpc, config.rpc_host(), config.chain_id, config.contract).await?;

        // Not the clients' backups, which may be much more.
        let mut entries = store.load("c/").await?;
        entries.extend(store.load("pair/").await?);
        let hub = Hub::restore(config.hub(), config.keys.signer.clone(), &entries, clock::now())
            .context("the stored channels can't be read")?;
        drop(entries);
        let known: Vec<_> = hub.channels().map(farthing_protocol::channel::Channel::id).collect();
        tracing::info!(channels = known.len(), rpc = config.rpc_host(), "restored");

        let health = Arc::new(Health::new(config.poll_interval, config.max_chain_age));
        let (orders, ordered) = mpsc::unbounded_channel();
        let (registered, to_watch) = mpsc::unbounded_channel();
        let parts = Parts {
            store: Arc::clone(&store),
            health: Arc::clone(&health),
            orders,
            registered,
            max_channels: config.limits.channels,
            unfunded: Unfunded { age: config.limits.unfunded_age, most: config.limits.unfunded_channels },
        };
        let (core, driver) = core::start(hub, parts);
        let driver = tokio::spawn(driver);
        let watcher = Watcher::new(
            WatcherConfig {
                contract: config.contract,
                assets: Some(config.assets.keys().copied().collect()),
                confirmations: config.confirmations,
                poll_interval: config.poll_interval,
                log_range: config.log_range,
            },
            rpc.clone(),
            Arc::clone(&store),
            core.clone(),
            known,
            to_watch,
            Arc::clone(&health),
        );
        let sender = Sender::new(
            SenderConfig {
                chain_id: config.chain_id,
                contract: config.contract,
                owner: config.keys.owner.clone(),
                stuck_after: config.stuck_after,
            },
            rpc,
            Arc::clone(&store),
            core.clone(),
            ordered,
            health.looks(),
        );

        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr().context("the listening address")?;
        let (stop, stopping) = watch::channel(false);
        let app = App::new(&config, core.clone(), Arc::clone(&store), Arc::clone(&health), stopping);
        let tasks = Tasks { watcher: tokio::spawn(watcher.run()), sender: tokio::spawn(sender.run()) };
        // Before it has seen the chain the hub would refuse what clients send again as soon as they are back.
        let mut looks = health.looks();
        if tokio::time::timeout(RPC_PATIENCE, looks.wait_for(|(_, head)| head.is_some())).await.is_err() {
            tracing::warn!("the chain could not be read yet; no client is let in until it is");
        }
        let ended = tokio::spawn(run(listener, app, core, driver, tasks, store, stop.clone()));
        Ok(Self { address, health, stop, ended })
    }

    /// Asks it to end: sockets are closed, the last commit is written.
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
        self.ended.await.context("the hub's task panicked")?
    }
}

#[derive(Debug)]
struct Tasks {
    watcher: JoinHandle<()>,
    sender: JoinHandle<()>,
}

/// Serves until it is stopped or the core ends.
async fn run(
    listener: TcpListener,
    app: Arc<App>,
    core: Core,
    mut driver: JoinHandle<Result<(), farthing_protocol::Error>>,
    tasks: Tasks,
    store: Arc<dyn Store>,
    stop: watch::Sender<bool>,
) -> Result<()> {
    let mut stopping = stop.subscribe();
    let service = rpc::app(app).into_make_service_with_connect_info::<SocketAddr>();
    // Small frames must not wait for the acknowledgement of earlier ones: it costs 40 ms a payment.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
    let serving = tokio::spawn(
        axum::serve(listener, service)
            .with_graceful_shutdown(async move {
                let _ = stopping.wait_for(|stopping| *stopping).await;
            })
            .into_future(),
    );
    let mut asked = stop.subscribe();
    let failed = tokio::select! {
        ended = &mut driver => Some(ended),
        _ = asked.wait_for(|stopping| *stopping) => None,
    };
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    tasks.watcher.abort();
    tasks.sender.abort();
    let _ = tokio::join!(tasks.watcher, tasks.sender);
    // The last handle of the core: it writes what it has and ends.
    drop(core);
    let ended = match failed {
        Some(ended) => ended,
        None => tokio::time::timeout(DRAIN, driver).await.context("the core did not end in time")?,
    };
    let result = ended.context("the core panicked")?;
    let closed = store.close().await;
    result.context("the store failed")?;
    closed.context("the store did not close")
}

/// One file belongs to one hub: another key's proofs, or another chain's channels, must not be mixed in.
async fn check_identity(config: &Config, store: &dyn Store) -> Result<()> {
    let identity = format!("{} {} {}", config.chain_id, config.contract, config.keys.signer.address());
    match store.fact("identity").await? {
        None => store.set_fact("identity", identity).await?,
        Some(stored) if stored == identity => {}
        Some(stored) => bail!(
            "{} belongs to another hub (chain, contract, signer): {stored}; this one is {identity}",
            config.database.display()
        ),
    }
    Ok(())
}

/// Waits for the RPC, and refuses another chain or an address without a contract.
pub(crate) async fn check_chain(rpc: &Rpc, host: &str, expected: u64, contract: Address) -> Result<()> {
    let start = tokio::time::Instant::now();
    let chain_id = loop {
        match rpc.chain_id().await {
            Ok(chain_id) => break chain_id,
            Err(error) if start.elapsed() < RPC_PATIENCE => {
                tracing::warn!(%error, rpc = host, "waiting for the RPC");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error).context("rpc_url"),
        }
    };
    ensure!(chain_id == expected, "chain_id: configured is {expected}, the RPC has {chain_id}");
    ensure!(rpc.has_code(contract).await?, "contract: there is no contract at {contract}");
    Ok(())
}
