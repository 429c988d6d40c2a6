//! One hub that is to be attacked: Anvil with a block a second, the hub's program with its default configuration, and
//! an honest pair that pays.

use crate::honest::Honest;
use crate::proxy::{self, Manner};
use crate::support::client::call;
use crate::support::{Chain, ClientConfig, DEADLINE, Process, until};
use alloy_primitives::{Address, U256};
use farthing_protocol::{Amount, ETH};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A thousandth of an ETH.
pub const MILLI: u128 = 1_000_000_000_000_000;
/// The hub's defaults are those of the main network, since on a chain for developers gas is for nothing. Only finality
/// comes as soon as there, and the chain is looked at as often.
const MAINNET: u64 = 1;
/// Anvil's accounts: the hub's, the honest ones', the attackers' and one that nobody is.
pub const HUB: usize = 0;
pub const HONEST: [usize; 2] = [1, 2];
pub const ATTACKERS: std::ops::Range<usize> = 3..9;
pub const NOBODY: usize = 9;

/// What the hub's owner has to decide, since it has no default. The rest of its configuration is the default one.
pub const COLLATERAL: u128 = 500 * MILLI;
pub const MAX_COLLATERAL: u128 = 5_000 * MILLI;
pub const MIN_PAYMENT: u128 = 1_000_000_000;
const MAX_PAYMENT: u128 = 2_000 * MILLI;
const CAPACITY: u128 = 10_000 * MILLI;

/// Open files that a program may have where nobody has raised it; it may raise it itself.
const FILES: u64 = 1_024;

/// How a stage is set.
#[derive(Clone, Copy)]
pub struct Setting {
    /// What the hub's account has, in thousandths of an ETH.
    pub hub_milli: u128,
    /// Options other than the default ones, where the default takes longer than anybody waits.
    pub more: &'static str,
    /// How the RPC behaves.
    pub rpc: Manner,
}

impl Default for Setting {
    fn default() -> Self {
        Self { hub_milli: 100_000, more: "", rpc: Manner::Direct }
    }
}

/// The hub's process, which an attack may have restarted.
pub struct Hub {
    program: PathBuf,
    toml: String,
    database: PathBuf,
    pub url: String,
    process: tokio::sync::Mutex<Option<Process>>,
}

impl Hub {
    async fn start(&self) {
        let mut process = self.process.lock().await;
        *process = Some(Process::spawn(&self.program, "run", &self.toml, &self.database).await);
    }

    pub async fn restart(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.kill().await;
        }
        self.start().await;
    }

    pub async fn pid(&self) -> Option<u32> {
        self.process.lock().await.as_ref().and_then(|process| process.child.id())
    }

    /// Whether it ended by itself; then it is started again, so that the money can be counted.
    pub async fn has_died(&self) -> bool {
        let ended = {
            let mut process = self.process.lock().await;
            process.as_mut().is_none_or(|process| process.child.try_wait().is_ok_and(|status| status.is_some()))
        };
        if ended {
            self.restart().await;
        }
        ended
    }

    pub async fn kill(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.kill().await;
        }
    }
}

pub struct Stage {
    pub chain: Arc<Chain>,
    pub hub: Arc<Hub>,
    pub honest: Honest,
    pub folder: tempfile::TempDir,
    /// What the hub's account had at the beginning.
    pub hub_had: U256,
    /// Milliseconds from block to block; none come while it is zero.
    pub pace: Arc<AtomicU64>,
    ticking: JoinHandle<()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl Stage {
    pub async fn set(program: &Path, setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = Arc::new(Chain::start_as(MAINNET).await);
        let hub_had = U256::from(setting.hub_milli * MILLI);
        chain.ask("anvil_setBalance", json!([chain.accounts[HUB], hub_had])).await;
        chain.ask("evm_setAutomine", json!([false])).await;
        let pace = Arc::new(AtomicU64::new(100));
        let ticking = tokio::spawn(tick(Arc::clone(&chain), Arc::clone(&pace)));

        let rpc = proxy::start(&chain.url, setting.rpc).await;
        let (database, port) = (folder.path().join("hub.sqlite"), free_port());
        let hub = Arc::new(Hub {
            program: limited(program, folder.path()),
            toml: toml(&chain, &rpc, &database, port, setting.more),
            database,
            url: format!("http://127.0.0.1:{port}"),
            process: tokio::sync::Mutex::new(None),
        });
        hub.start().await;
        let honest = Honest::begin(&chain, &hub.url, folder.path()).await;
        pace.store(1_000, Ordering::Relaxed);
        Self { chain, hub, honest, folder, hub_had, pace, ticking }
    }

    pub fn hub_account(&self) -> Address {
        self.chain.accounts[HUB]
    }
}

/// The client of one of Anvil's accounts that connects from this address.
pub async fn client_config(chain: &Chain, url: &str, folder: &Path, account: usize, from: Ipv4Addr) -> ClientConfig {
    let config = ClientConfig::new(chain, account, url, folder).await;
    ClientConfig { assets: vec![ETH], confirmations: 1, from, ..config }
}

/// Waits until the hub counts a deposit of side A.
pub async fn counted(url: &str, config: &ClientConfig, amount: Amount) {
    until("the hub counts a deposit", || async {
        let status = call(url, "farthing_channel", json!({ "channelId": config.id() })).await.ok()?;
        let counts = |asset: &Value| asset["deposits"]["a"] == amount.to_string();
        status["assets"].as_array()?.iter().any(counts).then_some(())
    })
    .await;
}

async fn tick(chain: Arc<Chain>, pace: Arc<AtomicU64>) {
    loop {
        let wait = pace.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(if wait == 0 { 20 } else { wait })).await;
        if wait > 0 && pace.load(Ordering::Relaxed) > 0 {
            chain.mine(1).await;
        }
    }
}

/// A port that is free now; the hub has to keep it when it starts again.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The hub's program with as few files as a shell gives it. The process is the hub's own.
fn limited(program: &Path, folder: &Path) -> PathBuf {
    let script = folder.join("hub.sh");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -S -n {FILES}\nexec '{}' \"$@\"\n", program.display())).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    script
}

fn toml(chain: &Chain, rpc: &str, database: &Path, port: u16, more: &str) -> String {
    let (contract, database) = (chain.contract, database.display());
    format!(
        r#"
        listen = "127.0.0.1:{port}"
        rpc_url = "{rpc}"
        chain_id = {MAINNET}
        confirmations = 1
        poll_interval_ms = 200
        contract = "{contract}"
        database = "{database}"
        {more}
        [[assets]]
        address = "{ETH}"
        symbol = "ETH"
        decimals = 18
        channel_capacity = "{CAPACITY}"
        min_payment = "{MIN_PAYMENT}"
        max_payment = "{MAX_PAYMENT}"
        collateral = "{COLLATERAL}"
        max_collateral = "{MAX_COLLATERAL}"
        "#
    )
}

/// Asks until it holds, or for as long as everything may take; whether it held.
pub async fn eventually(mut holds: impl AsyncFnMut() -> bool, patience: Duration) -> bool {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience.min(DEADLINE), asking).await.is_ok()
}
