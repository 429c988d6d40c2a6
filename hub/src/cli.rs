//! The command line.

use crate::config::{Config, LogFormat, Raw};
use crate::node::Node;
use crate::store::{Sqlite, Store};
use crate::watch::{RawWatch, WatchConfig, WatchNode};
use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// A hub of Farthing, payment channels on Ethereum.
#[derive(Debug, Parser)]
#[command(name = "farthing-hub", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the hub until it is told to end
    Run {
        /// TOML file; every option also comes from FARTHING_HUB_<OPTION>
        #[arg(long, env = "FARTHING_HUB_CONFIG")]
        config: Option<PathBuf>,
        /// Prints the checked configuration, without secrets, and ends
        #[arg(long)]
        print_config: bool,
    },
    /// Runs a watchtower, which answers exits for clients of any hub, until it is told to end
    Watch {
        /// TOML file; every option also comes from FARTHING_WATCH_<OPTION>
        #[arg(long, env = "FARTHING_WATCH_CONFIG")]
        config: Option<PathBuf>,
        /// Prints the checked configuration, without secrets, and ends
        #[arg(long)]
        print_config: bool,
    },
    /// Asks a running hub or watchtower how it is; fails if it is not ready
    Status {
        /// Of the hub or watchtower
        #[arg(long, env = "FARTHING_HUB_URL", default_value = "http://127.0.0.1:7190")]
        url: url::Url,
    },
}

/// Runs a command.
pub async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run { config, print_config } => {
            let raw = Raw::read(config.as_deref(), std::env::vars())?;
            let log_format = raw.log_format;
            let config = Config::check(raw)?;
            if print_config {
                print(&config.printable())
            } else {
                log(log_format);
                serve(config).await
            }
        }
        Command::Watch { config, print_config } => {
            let raw = RawWatch::read(config.as_deref(), std::env::vars())?;
            let log_format = raw.log_format;
            let config = WatchConfig::check(raw)?;
            if print_config {
                print(&config.printable())
            } else {
                log(log_format);
                watch(config).await
            }
        }
        Command::Status { url } => status(url).await,
    }
}

async fn serve(config: Config) -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&config.database).await?);
    let (owner, signer) = (config.keys.owner.address(), config.keys.signer.address());
    let node = Node::start(config, store).await?;
    // One line for whoever started this and needs the port.
    println!("{}", json!({ "listening": format!("http://{}", node.address), "owner": owner, "signer": signer }));
    tracing::info!(address = %node.address, %owner, %signer, "listening");
    end_when_asked(node.stopper());
    node.ended().await
}

async fn watch(config: WatchConfig) -> Result<()> {
    let (tower, gas_account) = (config.signer.address(), config.gas_key.address());
    let node = WatchNode::start(config).await?;
    println!(
        "{}",
        json!({ "listening": format!("http://{}", node.address), "tower": tower, "gasAccount": gas_account })
    );
    tracing::info!(address = %node.address, %tower, %gas_account, "listening");
    end_when_asked(node.stopper());
    node.ended().await
}

fn end_when_asked(stop: tokio::sync::watch::Sender<bool>) {
    tokio::spawn(async move {
        match asked_to_end().await {
            Ok(()) => stop.send_replace(true),
            Err(error) => {
                tracing::error!(%error, "signals can't be caught");
                false
            }
        }
    });
}

async fn asked_to_end() -> Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

async fn status(url: url::Url) -> Result<()> {
    let ready: Value = get(&url, "ready").await?;
    print(&ready)?;
    if ready.pointer("/gas/low") == Some(&Value::Bool(true)) {
        eprintln!("farthing-hub: the watchtower's gas account runs low");
    }
    if ready.get("ready") == Some(&Value::Bool(true)) { Ok(()) } else { bail!("{url} is not ready") }
}

async fn get(url: &url::Url, path: &str) -> Result<Value> {
    let url = url.join(path).context("the hub's URL")?;
    let response = reqwest::get(url.clone()).await.with_context(|| format!("{url} does not answer"))?;
    let text = response.text().await.with_context(|| format!("{url} does not answer"))?;
    serde_json::from_str(&text).with_context(|| format!("{url} is no Farthing hub or watchtower"))
}

fn print(value: &Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value).context("cannot print")?);
    Ok(())
}

/// Logs go to stderr; stdout is for the line that says where the hub listens.
fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("FARTHING_HUB_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}
