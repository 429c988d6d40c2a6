//! Whether the hub can do its work: its store takes commits, and its view of the chain is fresh.

use crate::clock;
use alloy_primitives::{Address, U256};
use farthing_protocol::Error;
use farthing_protocol::chain::Head;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Seconds between this machine's clock and a new block that are worth a word. Deadlines count by the later of the two.
const CLOCK_OFF: i64 = 120;

fn clock_warning(off: i64) -> String {
    let seconds = off.unsigned_abs();
    match off {
        0.. => format!(
            "clock: a new block is {seconds} s old; this machine's clock is ahead of the chain's, or the RPC is behind"
        ),
        _ => format!("clock: a new block is {seconds} s ahead of this machine's clock; set the clock"),
    }
}

/// Seen by the readiness probe.
#[derive(Debug)]
pub struct Health {
    store: AtomicBool,
    looks: watch::Sender<(Instant, Option<Head>)>,
    gas: Mutex<Option<GasReport>>,
    relay: Mutex<Option<RelayReport>>,
    /// Why the last look at the chain failed, until one does not.
    trouble: watch::Sender<Option<String>>,
    /// Seconds by which the newest block was older than this machine's clock when it was first seen; below zero: younger.
    clock_off: AtomicI64,
    /// A chain not looked at for this long is unknown.
    patience: Duration,
    /// Seconds after which the newest block is too old.
    max_chain_age: u64,
}

/// What there is to pay for transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasReport {
    /// The account that pays.
    pub account: Address,
    /// Wei, as a decimal string.
    #[serde(serialize_with = "decimal")]
    pub balance: U256,
    /// Wei that are kept for what protects money, as a decimal string.
    #[serde(serialize_with = "decimal")]
    pub reserve: U256,
    /// There is less than the reserve.
    pub low: bool,
    /// Orders that wait to be signed.
    pub waiting: usize,
    /// Orders that may not pay what gas costs now.
    pub capped: usize,
}

fn decimal<S: serde::Serializer>(wei: &U256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(wei)
}

/// What was spent today on deposits of owners without ETH.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayReport {
    /// How many.
    pub deposits: usize,
    /// Wei that they may cost, as a decimal string.
    #[serde(serialize_with = "decimal")]
    pub spent: U256,
    /// Wei that they may cost in a day, as a decimal string.
    #[serde(serialize_with = "decimal")]
    pub most: U256,
}

/// What the readiness probe answers.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Everything below is well.
    pub ready: bool,
    /// The store takes commits.
    pub store: bool,
    /// The chain is being followed.
    pub chain: bool,
    /// The newest block.
    pub head: Option<u64>,
    /// The newest final block.
    pub final_head: Option<u64>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What works, and may not go on doing so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What there is to pay for transactions; a watchtower tells it in its own way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gas: Option<GasReport>,
    /// What was spent on deposits of others, since the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayReport>,
}

impl Health {
    /// Well, but without having seen the chain.
    #[must_use]
    pub fn new(poll_interval: Duration, max_chain_age: u64) -> Self {
        let patience = poll_interval.saturating_mul(10).max(Duration::from_secs(30));
        Self {
            store: AtomicBool::new(true),
            looks: watch::Sender::new((Instant::now(), None)),
            gas: Mutex::new(None),
            relay: Mutex::new(None),
            trouble: watch::Sender::new(None),
            clock_off: AtomicI64::new(0),
            patience,
            max_chain_age,
        }
    }

    /// The store failed. There is no way back but a restart.
    pub fn store_failed(&self) {
        self.store.store(false, Ordering::Release);
    }

    /// The chain was looked at.
    pub fn looked(&self, head: Head) {
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        let before = self.looks.borrow().1;
        // Of a block that was there before the first look it is not known when it came.
        if before.is_some_and(|before| before.number < head.number) {
            let off = i128::from(clock::now()).saturating_sub(i128::from(head.timestamp));
            let off = i64::try_from(off).unwrap_or(i64::MAX);
            let before = self.clock_off.swap(off, Ordering::Relaxed);
            if off.saturating_abs() >= CLOCK_OFF && before.saturating_abs() < CLOCK_OFF {
                tracing::warn!("{}", clock_warning(off));
            }
        }
        self.looks.send_replace((Instant::now(), Some(head)));
    }

    /// The chain could not be looked at, and why, without anything secret.
    pub fn troubled(&self, error: &Error) {
        let said = if error.detail().is_empty() { error.code().advice() } else { error.detail() };
        self.trouble.send_if_modified(|trouble| {
            let is_new = trouble.as_deref() != Some(said);
            if is_new {
                *trouble = Some(said.to_owned());
            }
            is_new
        });
    }

    /// Why the last look at the chain failed, while that lasts.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// What was spent on deposits of others.
    pub fn set_relay(&self, report: RelayReport) {
        *self.relay.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    /// What there is to pay for transactions. With less than the reserve a hub is not ready.
    pub fn set_gas(&self, report: GasReport) {
        *self.gas.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    /// What there is to pay for transactions, if that was told.
    #[must_use]
    pub fn gas(&self) -> Option<GasReport> {
        *self.gas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every look at the chain, also those that saw nothing new.
    #[must_use]
    pub fn looks(&self) -> watch::Receiver<(Instant, Option<Head>)> {
        self.looks.subscribe()
    }

    /// How it is now.
    #[must_use]
    pub fn report(&self) -> Report {
        let store = self.store.load(Ordering::Acquire);
        let (at, head) = *self.looks.borrow();
        let chain = head.is_some_and(|head| {
            at.elapsed() <= self.patience && clock::now() <= head.timestamp.saturating_add(self.max_chain_age)
        });
        let gas = self.gas();
        let unread = match &*self.trouble.borrow() {
            Some(why) => format!("chain not followed: {why}"),
            None => "chain not followed".to_owned(),
        };
        let checks = [
            (store, "store failed".to_owned()),
            (chain, unread),
            (gas.is_none_or(|gas| !gas.low), "gas low".to_owned()),
        ];
        let reasons: Vec<_> = checks.into_iter().filter(|(well, _)| !well).map(|(_, reason)| reason).collect();
        let off = self.clock_off.load(Ordering::Relaxed);
        let warnings = if off.saturating_abs() >= CLOCK_OFF { vec![clock_warning(off)] } else { Vec::new() };
        Report {
            ready: reasons.is_empty(),
            store,
            chain,
            head: head.map(|head| head.number),
            final_head: head.map(|head| head.final_number),
            reasons,
            warnings,
            gas,
            relay: *self.relay.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farthing_protocol::Code;

    fn head(number: u64, timestamp: u64) -> Head {
        Head { number, timestamp, final_number: number, final_timestamp: timestamp }
    }

    fn health() -> Health {
        Health::new(Duration::from_secs(1), 3_600)
    }

    #[test]
    fn it_says_why_the_chain_is_not_followed_until_it_is() {
        let health = health();
        assert_eq!(health.report().reasons, ["chain not followed"]);
        health.troubled(&Error::new(Code::ChainUnavailable, "the RPC https://rpc.example limits our questions"));
        let said = health.report().reasons;
        assert_eq!(said, ["chain not followed: the RPC https://rpc.example limits our questions"]);
        health.looked(head(1, clock::now()));
        assert!(health.report().ready && health.trouble().borrow().is_none());
    }

    #[test]
    fn a_clock_that_differs_from_new_blocks_by_minutes_is_told_and_only_then() {
        let health = health();
        let now = clock::now();
        health.looked(head(1, now - 1_000));
        assert!(health.report().warnings.is_empty(), "the chain may have stood still");
        health.looked(head(2, now - 10));
        assert!(health.report().warnings.is_empty());
        health.looked(head(3, now + 600));
        assert!(health.report().warnings.iter().any(|said| said.contains("set the clock")));
        health.looked(head(4, now - 600));
        let report = health.report();
        assert!(report.ready && report.warnings.iter().any(|said| said.contains("ahead of the chain")), "{report:?}");
        health.looked(head(5, now));
        assert!(health.report().warnings.is_empty());
    }
}
