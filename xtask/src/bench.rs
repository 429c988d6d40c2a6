//! `cargo xtask bench`: measurements beside peers', in one run, as
//! `target/bench.json` and a table.
//!
//! A benchmark prints its rows on stdout, one JSON object a line:
//! `{"name":"sign","value":75.2,"unit":"µs","peer":"viem","peer_value":610,"ratio":8.1}`.
//! `peer`, `peer_value` and `ratio` may be null. Rows of `connect()`, whose value is
//! round trips, have the milliseconds that it took where an answer takes none and
//! a hundred: `"ms_at_0":30,"ms_at_100":640`; rows of a page that connects have
//! those on a phone's network, `"ms_at_10_mbit":1061`. What else a row has is kept as it is:
//! `p50_ms`, `p99_ms`, `failed` of `asked`, the same of the peer, and a `note`
//! on what the comparison leaves out. Other lines are for people.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::stage::{self, Hub};
use crate::tools::npm;
use crate::{contracts, paths, pkg, process, ui};

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the hub's own benchmark, without JavaScript
    #[arg(long)]
    native: bool,
}

/// One measurement.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    name: String,
    value: f64,
    unit: String,
    #[serde(default)]
    peer: Option<String>,
    #[serde(default)]
    peer_value: Option<f64>,
    #[serde(default)]
    ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms_at_0: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms_at_100: Option<f64>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Ratios below which something is broken rather than slow, and what it may be:
/// with 64-bit limbs in wasm (see `.cargo/config.toml`) k256 loses more than half
/// its lead.
const FLOORS: [(&str, f64, &str); 5] = [
    ("sign", 3.0, "is --cfg cpubits=\"32\" lost?"),
    ("recover", 3.0, "is --cfg cpubits=\"32\" lost?"),
    ("stream_pay", 50.0, "does each word take its chain from the root?"),
    ("stream_verify", 100.0, "are words shown one by one, or hashed from the tip?"),
    ("paid_fetch_16", 2.0, "does what is written grow with what was paid?"),
];

/// What the best known predecessor of the kind weighed, as it was published.
const PREDECESSOR: (&str, f64) = ("Connext V2's client, as published", 709_000.0);

const SCRIPT: &str = "bench/bench.mjs";
/// What it measures beside ours, which nobody else has to install.
const PEERS: &str = "js-tests/bench/peers";
const NATIVE: [&str; 2] = ["bench_hub", "bench_watch"];

/// Runs what there is and fails if something is missing.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut rows = Vec::new();
    let mut missing = Vec::new();
    contracts::build()?;

    for example in NATIVE {
        ui::step(&format!("{example} (release)"));
        let mut cargo = process::cargo(&["run", "--release", "--package", "farthing-hub", "--example", example]);
        stage::set_chain(&mut cargo)?;
        rows.extend(measure(&mut cargo)?);
    }
    if !args.native {
        let packed = pkg::build()?;
        if paths::at("js-tests").join(SCRIPT).is_file() {
            stage::install(&packed.tgz)?;
            npm::ensure(&paths::at(PEERS))?;
            Hub::Release.build()?;
            ui::step("package benchmark in Node and Chromium");
            rows.extend(measure(stage::node_command(Hub::Release, &packed.tgz, true)?.arg(SCRIPT))?);
        } else {
            missing.push(format!("js-tests/{SCRIPT}"));
        }
        if !rows.iter().any(|row| row.name == "package_gzip") {
            rows.push(package_size(&packed.size)?);
        }
    }
    report(&rows)?;
    if !missing.is_empty() {
        bail!("missing: {}", missing.join(", "));
    }
    demand_floors(&rows)
}

fn measure(command: &mut Command) -> Result<Vec<Row>> {
    rows(&process::capture(command)?)
}

/// The rows among the lines; a line that looks like one and is not is an error.
fn rows(output: &str) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    for line in output.lines().map(str::trim) {
        if line.starts_with('{') {
            found.push(serde_json::from_str(line).with_context(|| format!("not a row of a benchmark: {line}"))?);
        } else if !line.is_empty() {
            ui::note(line);
        }
    }
    Ok(found)
}

fn package_size(size: &pkg::Size) -> Result<Row> {
    let value = f64::from(u32::try_from(size.gzip())?);
    let (peer, peer_value) = PREDECESSOR;
    Ok(Row {
        name: "package_gzip".to_owned(),
        value,
        unit: "bytes".to_owned(),
        peer: Some(peer.to_owned()),
        peer_value: Some(peer_value),
        ratio: Some((peer_value / value * 100.0).round() / 100.0),
        ms_at_0: None,
        ms_at_100: None,
        more: Map::new(),
    })
}

fn report(rows: &[Row]) -> Result<()> {
    let file = paths::out("bench.json");
    paths::write(&file, serde_json::to_vec_pretty(rows)?)?;
    println!("{:<28} {:>14} {:<12} {:<36} {:>14} {:>8}", "name", "value", "unit", "peer", "peer's value", "ratio");
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), shown);
        let peer = row.peer.as_deref().unwrap_or("-");
        let (value, peer_value, ratio) = (shown(row.value), number(row.peer_value), number(row.ratio));
        println!("{:<28} {value:>14} {:<12} {peer:<36} {peer_value:>14} {ratio:>8}", row.name, row.unit);
        if let (Some(none), Some(some)) = (row.ms_at_0, row.ms_at_100) {
            ui::note(&format!("{none:.0} ms, and {some:.0} ms where an answer takes 100 ms"));
        }
        for (side, prefix) in [("ours", ""), ("theirs", "peer_")] {
            let at = |name: &str| row.more.get(&format!("{prefix}{name}")).and_then(Value::as_f64);
            if let (Some(p50), Some(p99), Some(failed), Some(asked)) =
                (at("p50_ms"), at("p99_ms"), at("failed"), at("asked"))
            {
                ui::note(&format!("{side}: p50 {p50:.1} ms, p99 {p99:.1} ms, {failed:.0} of {asked:.0} failed"));
            }
        }
        if let Some(far) = row.more.get("ms_at_10_mbit").and_then(Value::as_f64) {
            ui::note(&format!("{far:.0} ms where the page has 10 Mbit/s and 40 ms"));
        }
        if let Some(note) = row.more.get("note").and_then(Value::as_str) {
            ui::note(note);
        }
    }
    ui::note(&paths::shown(&file));
    Ok(())
}

fn shown(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn demand_floors(rows: &[Row]) -> Result<()> {
    for (name, floor, hint) in FLOORS {
        let measured = rows.iter().filter(|row| row.name == name).filter_map(|row| row.ratio);
        if let Some(ratio) = measured.min_by(f64::total_cmp).filter(|ratio| *ratio < floor) {
            bail!("{name} is only {ratio:.1} times as fast as its peer, expected {floor}: {hint}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_among_other_lines() -> Result<()> {
        let found = rows("warming up\n{\"name\":\"sign\",\"value\":75,\"unit\":\"µs\"}\n\n")?;
        assert_eq!(found.len(), 1);
        assert!(rows("{\"name\":\"sign\"}").is_err());
        let opened = "{\"name\":\"connect_warm\",\"value\":3,\"unit\":\"round trips\",\"ms_at_0\":9,\"ms_at_100\":310}";
        let written = serde_json::to_string(&rows(opened)?)?;
        assert!(written.contains("\"ms_at_0\":9.0,\"ms_at_100\":310.0"), "{written}");
        let asked = "{\"name\":\"paid_fetch_16\",\"value\":90,\"unit\":\"requests/s\",\"peer_failed\":15,\"note\":\"no chain\"}";
        let written = serde_json::to_string(&rows(asked)?)?;
        assert!(written.contains("\"peer_failed\":15") && written.contains("\"note\":\"no chain\""), "{written}");
        Ok(())
    }

    #[test]
    fn a_lost_lead_is_an_error() -> Result<()> {
        let slow =
            rows("{\"name\":\"sign\",\"value\":300,\"unit\":\"µs\",\"peer\":\"viem\",\"peer_value\":600,\"ratio\":2}")?;
        assert!(demand_floors(&slow).is_err());
        Ok(())
    }
}
