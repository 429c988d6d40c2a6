//! A hub in this process, or in one of its own.

use super::chain::{Chain, OWNER_KEY};
use farthing_hub::config::{Config, Raw};
use farthing_hub::node::Node;
use farthing_hub::store::Sqlite;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The configuration of a hub for a test, with more options below the given ones.
pub fn toml(chain: &Chain, database: &Path, more: &str) -> String {
    let Chain { url, contract, dai, .. } = chain;
    let database = database.display();
    let asset = |address: &str, symbol: &str| {
        format!(
            r#"
            [[assets]]
            address = "{address}"
            symbol = "{symbol}"
            decimals = 18
            channel_capacity = "1000000000000000000000"
            min_payment = "1"
            max_payment = "100000000000000000000"
            collateral = "1000000000000000000"
            max_collateral = "500000000000000000000"
            "#
        )
    };
    format!(
        r#"
        listen = "127.0.0.1:0"
        rpc_url = "{url}"
        chain_id = 31337
        contract = "{contract}"
        database = "{database}"
        poll_interval_ms = 20
        confirmations = 2
        {more}
        {}{}"#,
        asset("0x0000000000000000000000000000000000000000", "ETH"),
        asset(&dai.to_string(), "DAI"),
    )
}

pub fn config(chain: &Chain, database: &Path, more: &str) -> Config {
    let key = [("FARTHING_HUB_PRIVATE_KEY".to_owned(), OWNER_KEY.to_owned())];
    Config::check(Raw::parse(&toml(chain, database, more), "test.toml", key.into_iter()).unwrap()).unwrap()
}

/// A hub in this process.
pub async fn start(chain: &Chain, database: &Path, more: &str) -> Node {
    let config = config(chain, database, more);
    let store = Arc::new(Sqlite::open(database).await.unwrap());
    Node::start(config, store).await.unwrap()
}

/// A hub in this process, on a configuration of the test's own.
pub async fn start_on(toml: &str, database: &Path) -> Node {
    let key = [("FARTHING_HUB_PRIVATE_KEY".to_owned(), OWNER_KEY.to_owned())];
    let config = Config::check(Raw::parse(toml, "test.toml", key.into_iter()).unwrap()).unwrap();
    let store = Arc::new(Sqlite::open(database).await.unwrap());
    Node::start(config, store).await.unwrap()
}

/// A hub in a process of its own. Killed when dropped.
pub struct Process {
    pub child: Child,
    pub url: String,
}

impl Process {
    /// Starts `program` (with arguments) on this configuration and waits until it listens.
    pub async fn start(program: &Path, chain: &Chain, database: &Path, more: &str) -> Self {
        Self::spawn(program, "run", &toml(chain, database, more), database).await
    }

    /// Starts `program` with a command on this configuration.
    pub async fn spawn(program: &Path, command: &str, toml: &str, database: &Path) -> Self {
        let file = database.with_extension("toml");
        std::fs::write(&file, toml).unwrap();
        let mut child = Command::new(program)
            .args([command, "--config"])
            .arg(&file)
            .env("FARTHING_HUB_PRIVATE_KEY", OWNER_KEY)
            .env("FARTHING_WATCH_PRIVATE_KEY", OWNER_KEY)
            .env("FARTHING_HUB_LOG", std::env::var("FARTHING_HUB_LOG").unwrap_or_else(|_| "warn".into()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = super::within("the hub listens", lines.next_line()).await.unwrap().expect("a line of JSON");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { child, url: said["listening"].as_str().unwrap().to_owned() }
    }

    /// The end that nothing can prepare for.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
