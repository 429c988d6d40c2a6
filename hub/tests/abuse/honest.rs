//! An honest payer and an honest payee, who pay once a second whatever others do, and newcomers who want to get in.

use crate::stage::{self, HONEST, MILLI};
use crate::support::client::{connect_from, payee, request, socket_call};
use crate::support::{Chain, Client, ClientConfig, DEADLINE};
use farthing_hub::clock;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::wallet::{Payee, PaymentId, Status};
use farthing_protocol::{Amount, ETH};
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One of them.
const AMOUNT: Amount = Amount::new(1_000_000_000_000);
/// A payment that has not arrived after this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// A newcomer goes away after this long.
const NEWCOMERS_PATIENCE: Duration = Duration::from_secs(15);

const PAYER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PAYEE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const NEWCOMER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

pub struct Honest {
    pub payer: Arc<Client>,
    pub payee: Arc<Client>,
    to: Payee,
}

/// What they saw.
#[derive(Default)]
pub struct Seen {
    pub times: Vec<Duration>,
    pub failed: u64,
    /// Why, of the last.
    pub why: Option<String>,
    pub hung_up_on: u64,
    pub newcomers: u64,
    pub newcomers_failed: u64,
    /// Most blocks that the hub was behind what is final.
    pub behind: u64,
}

impl Honest {
    /// Both come, deposit, and pay for the first time.
    pub async fn begin(chain: &Chain, url: &str, folder: &Path) -> Self {
        let mut clients = Vec::new();
        for (account, from) in HONEST.into_iter().zip([PAYER, PAYEE]) {
            let config = stage::client_config(chain, url, folder, account, from).await;
            let client = config.start(url).await;
            chain.deposit(&client.config.def, ETH, Amount::new(8_000 * MILLI)).await;
            clients.push(Arc::new(client));
        }
        let payee_client = clients.pop().unwrap();
        let payer = clients.pop().unwrap();
        let to = payee(url, payee_client.config.key.address()).await;
        let honest = Self { payer, payee: payee_client, to };
        // The first ones wait for the chain, and for the hub's collateral.
        let start = Instant::now();
        loop {
            if let Ok(id) = honest.offer().await
                && arrives(&honest.payer, id, Duration::from_secs(5)).await.is_ok()
            {
                return honest;
            }
            assert!(start.elapsed() < DEADLINE, "the honest pair can't pay, without any attack");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Pays once a second, whether earlier payments have arrived or not.
    pub async fn pay(&self, url: &str, time: Duration) -> Seen {
        let start = Instant::now();
        let mut payments = Vec::new();
        let mut seen = Seen::default();
        let stop = Arc::new(AtomicBool::new(false));
        let back = tokio::spawn(come_back(
            [Arc::clone(&self.payer), Arc::clone(&self.payee)],
            url.to_owned(),
            Arc::clone(&stop),
        ));
        let (visitor, newest) = (self.payer.config.clone(), Arc::new(AtomicU64::new(0)));
        let visits = tokio::spawn(newcomers(visitor, url.to_owned(), Arc::clone(&stop), Arc::clone(&newest)));
        for second in 0..time.as_secs().max(1) {
            tokio::time::sleep_until((start + Duration::from_secs(second)).into()).await;
            // Each is watched by itself, so that it notes its own time.
            let (at, offered, payer) = (Instant::now(), self.offer().await, Arc::clone(&self.payer));
            payments.push(tokio::spawn(async move {
                arrives(&payer, offered?, PATIENCE).await?;
                Ok(at.elapsed())
            }));
        }
        for payment in payments {
            let result = payment.await.unwrap_or_else(|error| Err(error.to_string()));
            match result {
                Ok(time) => seen.times.push(time),
                Err(why) => {
                    seen.failed += 1;
                    seen.why = Some(why);
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        seen.hung_up_on = back.await.unwrap_or_default();
        (seen.newcomers, seen.newcomers_failed) = visits.await.unwrap_or((1, 1));
        seen.behind = newest.load(Ordering::Relaxed);
        seen
    }

    async fn offer(&self) -> Result<PaymentId, String> {
        offer(&self.payer, &self.to, AMOUNT).await
    }
}

/// Starts a payment.
pub async fn offer(payer: &Client, to: &Payee, amount: Amount) -> Result<PaymentId, String> {
    let request = request(to.clone(), ETH, amount);
    payer.run(move |wallet| wallet.pay(request, clock::now())).await.map_err(|error| error.to_string())
}

/// Waits until a payment is completed; an error says what became of it.
pub async fn arrives(payer: &Client, id: PaymentId, patience: Duration) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let now = payer.told.lock().unwrap().get(&id).map(|payment| (payment.status, payment.code.clone()));
        match now {
            Some((Status::Completed, _)) => return Ok(()),
            Some((Status::Failed | Status::Returning, code)) => return Err(format!("failed: {code:?}")),
            other if start.elapsed() > patience => return Err(format!("not there in time: {other:?}")),
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Connects those again who were hung up on, as clients do; returns how often.
async fn come_back(clients: [Arc<Client>; 2], url: String, stop: Arc<AtomicBool>) -> u64 {
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        for client in &clients {
            if !client.online.load(Ordering::Acquire) {
                times += 1;
                let _ = client.connect(&url).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    times
}

/// Every two seconds somebody comes who was never there; the hub has to let him in. Returns how many came, and how
/// many did not get in.
async fn newcomers(old: ClientConfig, url: String, stop: Arc<AtomicBool>, behind: Arc<AtomicU64>) -> (u64, u64) {
    let (mut came, mut failed) = (0_u64, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        came += 1;
        let visit = tokio::time::timeout(NEWCOMERS_PATIENCE, newcomer(&old, &url, came, &behind)).await;
        if let Err(why) = visit.unwrap_or_else(|_| Err("no answer".to_owned())) {
            eprintln!("a newcomer did not get in: {why}");
            failed += 1;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    (came, failed)
}

async fn newcomer(old: &ClientConfig, url: &str, number: u64, behind: &AtomicU64) -> Result<(), String> {
    let mut socket = loop {
        match connect_from(NEWCOMER, url).await.map_err(|error| error.to_string()) {
            // No process listens, since it is being started again: whoever meets that asks once more.
            Err(why) if why.contains("Connection refused") => tokio::time::sleep(Duration::from_millis(50)).await,
            socket => break socket?,
        }
    };
    let mut config = old.clone();
    config.key = SecretKey::derive("a newcomer", &number.to_be_bytes()).unwrap();
    config.def.a.signer = config.key.address();
    let params = json!({ "channel": config.def, "publicKey": config.key.public_key() });
    let registered = socket_call(&mut socket, "farthing_register", params, drop).await;
    registered.map_err(|error| error.to_string())?;
    let status = socket_call(&mut socket, "farthing_channel", json!({ "channelId": old.id() }), drop).await;
    let status = status.map_err(|error| error.to_string())?;
    if let (Ok(newest), Some(seen)) = (old.rpc.latest().await, status["finalBlock"].as_u64()) {
        behind.fetch_max(newest.number.saturating_sub(seen), Ordering::Relaxed);
    }
    Ok(())
}

/// The time below which so many hundredths of them are.
pub fn percentile(times: &[Duration], hundredths: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
