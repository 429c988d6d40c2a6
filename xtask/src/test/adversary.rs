//! Adversaries as processes: a hostile hub before honest clients, hostile clients before the real hub, hostile readers
//! before the real paywall, and a hostile page before a reader's wallet page, on a real node. Not one wei may be lost.
//!
//! Each file of `js-tests/adversary` writes its scenarios to `target/adversary/<file>.json`:
//! `[{"against": "client", "name": "…", "seed": 3, "tried": {"lost message": 7}, "lost": "0", "judged": true}]`.
//! They go into `target/adversary.json`, beside what the model's schedules contained.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Tally, steps};
use crate::tools::npm;
use crate::{paths, ui};

#[derive(Debug, Deserialize)]
struct Scenario {
    against: String,
    name: String,
    seed: Option<u64>,
    tried: BTreeMap<String, u64>,
    lost: String,
    judged: bool,
}

/// What the scenarios against one honest side come to.
#[derive(Debug, Default, Serialize)]
struct Side {
    scenarios: u64,
    seeds: Vec<u64>,
    tried: BTreeMap<String, u64>,
    wei_lost: String,
}

/// Runs them and reads their reports.
pub(crate) fn run() -> Result<Tally> {
    let folder = paths::out("adversary");
    paths::remove(&folder)?;
    npm::ensure(&paths::at("www-demo"))?;
    let mut tally = steps::node_test("adversaries", "adversary", true, |node| {
        // What still listens when the last scenario has been judged is of no interest.
        node.arg("--test-force-exit").env("FARTHING_REPORT", &folder);
    })?;
    let mut scenarios = Vec::new();
    for path in paths::list(&folder)? {
        let read: Vec<Scenario> = serde_json::from_str(&paths::read(&path)?)
            .with_context(|| format!("{} is not the report it should be", paths::shown(&path)))?;
        scenarios.extend(read);
    }
    tally.add(judge(&scenarios));
    merge(&sum(&scenarios))?;
    Ok(tally)
}

fn judge(scenarios: &[Scenario]) -> Tally {
    let mut tally = Tally::default();
    for side in ["client", "hub", "site", "reader"] {
        if !scenarios.iter().any(|scenario| scenario.against == side) {
            tally.add(Tally::failure(format!("nobody was hostile to a {side}: nothing is shown")));
        }
    }
    for scenario in scenarios {
        if scenario.lost != "0" {
            tally.add(Tally::failure(format!("{} wei were lost in \"{}\"", scenario.lost, scenario.name)));
        } else if !scenario.judged {
            tally.add(Tally::failure(format!("\"{}\" was not judged", scenario.name)));
        }
    }
    tally
}

fn sum(scenarios: &[Scenario]) -> BTreeMap<&'static str, Side> {
    let mut sides: BTreeMap<&'static str, Side> = BTreeMap::new();
    for scenario in scenarios {
        let name = match scenario.against.as_str() {
            "client" => "a hostile hub against honest clients",
            "site" => "hostile readers against an honest site",
            "reader" => "a hostile page against an honest reader",
            _ => "hostile clients against an honest hub",
        };
        let side = sides.entry(name).or_default();
        side.scenarios = side.scenarios.saturating_add(1);
        side.seeds.extend(scenario.seed);
        for (what, times) in &scenario.tried {
            let count = side.tried.entry(what.clone()).or_default();
            *count = count.saturating_add(*times);
        }
        let lost = |text: &str| text.parse::<u128>().unwrap_or_default();
        side.wei_lost = lost(&side.wei_lost).saturating_add(lost(&scenario.lost)).to_string();
    }
    let count: u64 = sides.values().map(|side| side.scenarios).sum();
    let times: u64 = sides.values().flat_map(|side| side.tried.values()).sum();
    ui::note(&format!("{count} scenarios, {} tricks", ui::thousands(times)));
    sides
}

/// Puts them beside what the model wrote, if it ran.
fn merge(sides: &BTreeMap<&'static str, Side>) -> Result<()> {
    let path = paths::out("adversary.json");
    let mut report: Map<String, Value> = match path.is_file() {
        true => serde_json::from_str(&paths::read(&path)?).context("target/adversary.json is not a report")?,
        false => Map::new(),
    };
    report.insert("processes".into(), serde_json::to_value(sides)?);
    paths::write(&path, format!("{}\n", serde_json::to_string_pretty(&report)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(against: &str, lost: &str, judged: bool) -> Scenario {
        let tried = [("lost message".to_owned(), 2)].into();
        Scenario { against: against.into(), name: "x".into(), seed: Some(3), tried, lost: lost.into(), judged }
    }

    #[test]
    fn a_loss_a_scenario_without_a_verdict_and_a_side_without_scenarios_each_fail() {
        let failed = |scenarios: &[Scenario]| judge(scenarios).failed;
        let with = |lost: &str, judged: bool| {
            failed(&[
                scenario("client", lost, judged),
                scenario("hub", "0", true),
                scenario("site", "0", true),
                scenario("reader", "0", true),
            ])
        };
        assert_eq!(with("0", true), 0);
        assert_eq!(with("1", true), 1);
        assert_eq!(with("0", false), 1);
        assert_eq!(failed(&[scenario("client", "0", true), scenario("hub", "0", true)]), 2);
        assert_eq!(failed(&[]), 4);
    }

    #[test]
    fn counts_are_summed_by_side() {
        let sides = sum(&[scenario("client", "0", true), scenario("client", "5", true), scenario("hub", "0", true)]);
        let clients = sides.get("a hostile hub against honest clients");
        assert!(clients.is_some_and(|side| {
            side.scenarios == 2 && side.tried.get("lost message") == Some(&4) && side.wei_lost == "5"
        }));
        assert_eq!(sides.len(), 2);
    }
}
