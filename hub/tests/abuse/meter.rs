//! What an attack costs: memory and processor time of the hub's process, and gas of everybody by the receipts.

use crate::ledger;
use crate::support::Chain;
use alloy_primitives::Address;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most memory that a process had so far, in MiB.
pub fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default()
        / 1_024
}

/// Milliseconds of processor time that a process has used.
pub fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    // Linux counts in hundredths of a second everywhere that this runs.
    ticks.sum::<u64>() * 10
}

/// Files and connections that a process has open.
pub fn files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Gas that was paid since a block, in wei, by account.
pub async fn gas(chain: &Chain, after: u64) -> BTreeMap<Address, u128> {
    let mut paid = BTreeMap::new();
    let last = ledger::newest(chain).await.number;
    for block in after + 1..=last {
        let receipts = chain.ask("eth_getBlockReceipts", json!([format!("{block:#x}")])).await;
        for receipt in receipts.as_array().into_iter().flatten() {
            let from: Address = serde_json::from_value(receipt["from"].clone()).unwrap();
            let wei = number(&receipt["gasUsed"]) * number(&receipt["effectiveGasPrice"]);
            *paid.entry(from).or_insert(0) += wei;
        }
    }
    paid
}

/// A quantity of JSON-RPC.
pub fn number(value: &Value) -> u128 {
    value.as_str().and_then(|text| u128::from_str_radix(text.trim_start_matches("0x"), 16).ok()).unwrap_or_default()
}

/// Transactions of an account that are not mined.
pub async fn pool(chain: &Chain, account: Address) -> Vec<Value> {
    let content = chain.ask("txpool_content", json!([])).await;
    let of_kind = |kind: &str| content[kind].as_object().cloned().unwrap_or_default();
    let all = of_kind("pending").into_iter().chain(of_kind("queued"));
    all.filter(|(from, _)| from.parse() == Ok(account))
        .flat_map(|(_, by_nonce)| by_nonce.as_object().cloned().unwrap_or_default())
        .map(|(_, transaction)| transaction)
        .collect()
}
