//! What the readiness probe answers, as numbers over time: the text format of Prometheus, version 0.0.4. Nothing is
//! counted here; each line is a gauge of the same report.

use crate::health::Report;
use std::fmt::{Display, Write};

/// As `Content-Type` names it.
pub(super) const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One gauge for each fact that is known.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: &dyn Display| {
        // A String takes whatever is written.
        let _ = writeln!(text, "# HELP farthing_{name} {help}\n# TYPE farthing_{name} gauge\nfarthing_{name} {value}");
    };
    gauge("ready", "1 if the hub can do its work.", &u8::from(report.ready));
    gauge("store", "1 if the store takes commits.", &u8::from(report.store));
    gauge("chain", "1 if the chain is being followed.", &u8::from(report.chain));
    for (name, help, block) in [
        ("head_block", "The newest block that was read.", report.head),
        ("final_block", "The newest final block that was read.", report.final_head),
    ] {
        if let Some(block) = block {
            gauge(name, help, &block);
        }
    }
    gauge("warnings", "How many warnings the readiness probe tells.", &report.warnings.len());
    if let Some(gas) = &report.gas {
        gauge("gas_balance_wei", "What the account has that pays for transactions.", &gas.balance);
        gauge("gas_reserve_wei", "What is kept for transactions that protect money.", &gas.reserve);
        gauge("gas_low", "1 if there is less than the reserve, or than a transaction costs.", &u8::from(gas.low));
        gauge("orders_waiting", "Transactions that are wanted and not signed.", &gas.waiting);
        gauge("orders_capped", "Those of them that may not pay what gas costs now.", &gas.capped);
    }
    if let Some(relay) = &report.relay {
        gauge("relayed_deposits_today", "Deposits of others that were sent.", &relay.deposits);
        gauge("relayed_deposits_wei", "What they may cost together.", &relay.spent);
        gauge("relayed_deposits_most_wei", "What they may cost in a day.", &relay.most);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::GasReport;
    use alloy_primitives::{Address, U256};

    #[test]
    fn each_known_fact_is_a_gauge_and_an_unknown_one_is_left_out() {
        let gas = GasReport {
            account: Address::ZERO,
            balance: U256::from(7),
            reserve: U256::from(9),
            low: true,
            waiting: 3,
            capped: 2,
        };
        let mut report = Report {
            ready: false,
            store: true,
            chain: false,
            head: Some(12),
            final_head: None,
            reasons: vec!["gas low".to_owned()],
            warnings: Vec::new(),
            gas: Some(gas),
            relay: None,
        };
        let told = text(&report);
        for line in [
            "farthing_ready 0",
            "farthing_store 1",
            "farthing_chain 0",
            "farthing_head_block 12",
            "farthing_gas_balance_wei 7",
            "farthing_gas_reserve_wei 9",
            "farthing_gas_low 1",
            "farthing_orders_waiting 3",
            "farthing_orders_capped 2",
        ] {
            assert!(told.lines().any(|told| told == line), "{line}: {told}");
        }
        assert!(!told.contains("final_block"));
        let typed = told.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(typed, told.lines().filter(|line| !line.starts_with('#')).count());
        report.gas = None;
        assert!(!text(&report).contains("gas"));
    }
}
