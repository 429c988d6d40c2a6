//! Puts the parts together, in the order that keeps money safe: the store and the chain are checked before the
//! first client gets in, and the store is closed after the last effect.

use crate::chain::gate::{Gate, RPC_PATIENCE, RPC_PAUSE, until_checked};
use crate::chain::{Follower, FollowerConfig, Orders, Rpc, Sender, SenderConfig};
use crate::clock;
use crate::config::{Config, DEVELOPMENT_CHAIN};
use crate::core::{self, Core, Parts, Unfunded};
use crate::deposits::DepositDesk;
use crate::health::{GasReport, Health};
use crate::rpc::connections::Connections;
use crate::rpc::{self, App, serve};
use crate::store::Store;
use anyhow::{Context, Result, bail};
use farthing_protocol::ChannelId;
use farthing_protocol::api::relay::CODE_HASH;
use farthing_protocol::channel::Channel;
use farthing_protocol::hub::Hub;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long open requests may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// How long the first look at the chain is waited for, once the RPC can be asked.
const FIRST_LOOK: Duration = Duration::from_secs(30);

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
    pub async fn start(mut config: Config, store: Arc<dyn Store>) -> Result<Self> {
        let doors = doors(&mut config)?;
        check_identity(&config, &*store).await?;
        let rpc = Rpc::of(config.rpc_url.0.clone());
        let health = Arc::new(Health::new(config.poll_interval, config.max_chain_age));
        let gate = {
            let (config, rpc, health) = (config.clone(), rpc.clone(), Arc::clone(&health));
            Gate::new(async move { check(&config, &rpc, &health).await }).await?
        };
        let fits = gate.is_open();

        // Not the clients' backups, which may be much more.
        let mut entries = store.load("c/").await?;
        entries.extend(store.load("pair/").await?);
        let hub = Hub::restore(config.hub(), config.keys.signer.clone(), &entries, clock::now())
            .context("the stored channels can't be read")?;
        drop(entries);
        let known: BTreeSet<_> = hub.channels().map(Channel::id).collect();
        let unread: BTreeSet<_> = known.iter().copied().filter(|id| !hub.was_read(id)).collect();
        let exits = hub.channels().filter_map(exit_begun).collect();
        tracing::info!(channels = known.len(), unread = unread.len(), rpc = config.rpc_origins(), "restored");

        let orders = Orders::default();
        let (registered, to_read) = mpsc::unbounded_channel();
        let parts = Parts {
            store: Arc::clone(&store),
            health: Arc::clone(&health),
            orders: orders.clone(),
            registered,
            max_channels: config.limits.channels,
            unfunded: Unfunded {
                age: config.limits.unfunded_age,
                most: config.limits.unfunded_channels,
                most_per_origin: config.limits.unfunded_per_ip,
            },
            faults: config.limits.faults,
        };
        let (core, driver) = core::start(hub, parts);
        let driver = tokio::spawn(driver);
        let follower = Follower::new(
            FollowerConfig {
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
            to_read,
            Arc::clone(&health),
        )
        .with_unread(unread)
        .with_exits(exits)
        .on_development_chain(config.chain_id == DEVELOPMENT_CHAIN);
        let desk = DepositDesk::new(&config, rpc.clone(), orders.clone(), Arc::clone(&store), Arc::clone(&health));
        let sender = Sender::new(
            SenderConfig {
                chain_id: config.chain_id,
                contract: config.contract,
                owner: config.keys.owner.clone(),
                stuck_after: config.stuck_after,
                gas: config.gas.clone(),
            },
            rpc.clone(),
            Arc::clone(&store),
            core.clone(),
            orders,
            health.looks(),
        )
        .with_health(Arc::clone(&health));

        let listener = serve::listen(config.listen)?;
        let address = listener.local_addr().context("the listening address")?;
        let (stop, stopping) = watch::channel(false);
        let app = App::new(&config, &rpc, core.clone(), Arc::clone(&store), Arc::clone(&health), desk, stopping)?;
        let (following, sending) = (gate.behind(follower.run()), gate.behind(sender.run()));
        let tasks = Tasks { follower: tokio::spawn(following), sender: tokio::spawn(sending), gate: gate.kept() };
        // Before it has seen the chain the hub would refuse what clients send again as soon as they are back.
        let mut looks = health.looks();
        let first = looks.wait_for(|(_, head)| head.is_some());
        let mut trouble = health.trouble();
        let troubled = async {
            tokio::time::sleep(RPC_PATIENCE).await;
            drop(trouble.wait_for(Option::is_some).await);
        };
        let seen = fits
            && tokio::select! {
                first = tokio::time::timeout(FIRST_LOOK, first) => first.is_ok(),
                () = troubled => false,
            };
        if !seen {
            tracing::warn!("the chain could not be read yet; no client is let in until it is");
        }
        let patience = serve::Patience {
            silence: Duration::from_secs(config.limits.silence_timeout),
            write: Duration::from_secs(config.limits.write_timeout),
        };
        let serving = serve::serve(listener, rpc::app(app), doors, patience, stop.subscribe());
        let ended = tokio::spawn(run(tokio::spawn(serving), core, driver, tasks, store, stop.clone()));
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
    follower: JoinHandle<()>,
    sender: JoinHandle<()>,
    /// Ends with an error if the RPC is of another chain.
    gate: JoinHandle<Result<()>>,
}

/// Waits until the chain fits and it is known what there is to pay with.
async fn check(config: &Config, rpc: &Rpc, health: &Health) -> Result<()> {
    until_checked(rpc, config.chain_id, config.contract, health).await?;
    if let Some(deposits) = &config.deposits {
        loop {
            match rpc.code_hash(deposits.contract).await {
                Ok(hash) if hash == CODE_HASH => break,
                // No client would sign for it.
                Ok(_) => bail!("relay.contract: {} is not the DepositRelay of this version", deposits.contract),
                Err(error) => health.troubled(&error),
            }
            tokio::time::sleep(RPC_PAUSE).await;
        }
    }
    while let Err(error) = report_gas(config, rpc, health).await {
        health.troubled(&error);
        tokio::time::sleep(RPC_PAUSE).await;
    }
    Ok(())
}

/// How many TCP connections there may be, which the limit of open files decides, and how many of them sockets.
fn doors(config: &mut Config) -> Result<Arc<Connections>> {
    let limits = &mut config.limits;
    // Some are for HTTP.
    let wanted = limits.connections.saturating_add(limits.connections.div_euclid(8)).saturating_add(64);
    let most = serve::places(serve::open_files()?, wanted)?;
    limits.connections = limits.connections.min(most.saturating_sub(most.div_euclid(8)));
    Ok(Connections::new(most, limits.connections_per_ip.saturating_mul(2).saturating_add(16), true))
}

/// Serves until it is stopped or the core ends.
async fn run(
    serving: JoinHandle<()>,
    core: Core,
    mut driver: JoinHandle<Result<(), farthing_protocol::Error>>,
    mut tasks: Tasks,
    store: Arc<dyn Store>,
    stop: watch::Sender<bool>,
) -> Result<()> {
    let mut asked = stop.subscribe();
    let mut misfit = None;
    let failed = tokio::select! {
        ended = &mut driver => Some(ended),
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
    // The last handle of the core: it writes what it has and ends.
    drop(core);
    let ended = match failed {
        Some(ended) => ended,
        None => tokio::time::timeout(DRAIN, driver).await.context("the core did not end in time")?,
    };
    let result = ended.context("the core panicked")?;
    let closed = store.close().await;
    result.context("the store failed")?;
    closed.context("the store did not close")?;
    misfit.map_or(Ok(()), Err)
}

/// When the exit of a channel was started, as far as the hub knows: a reorg may have taken it back since then.
fn exit_begun(channel: &Channel) -> Option<(ChannelId, u64)> {
    let ends_at = channel.exit_ends_at()?;
    Some((channel.id(), ends_at.saturating_sub(channel.def().challenge_period.into())))
}

/// A hub that can't pay for what protects its money says so from the start.
async fn report_gas(config: &Config, rpc: &Rpc, health: &Health) -> Result<(), farthing_protocol::Error> {
    let (account, reserve) = (config.keys.owner.address(), config.gas.reserve);
    let balance = rpc.balance(account).await?;
    // Nothing is too little, whatever is to be kept.
    let low = balance < reserve || balance.is_zero();
    if low {
        tracing::error!(
            %account, %balance, %reserve,
            "gas low: the hub is not ready until its account holds the reserve ([gas] reserve, in wei)"
        );
    }
    for asset in config.assets.values().filter(|asset| asset.price.is_none() && asset.address != farthing_protocol::ETH)
    {
        tracing::warn!(
            asset = asset.symbol,
            "no price: what protects this asset waits while gas costs more than [gas] max_fee_per_gas"
        );
    }
    health.set_gas(GasReport { account, balance, reserve, low, waiting: 0, capped: 0 });
    Ok(())
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
