//! The crash matrix: every participant of one rich scenario is killed before and after everything that it does, its
//! store fails, and stores come back damaged or old. Nothing may be lost.
//!
//! ```sh
//! cargo run --release -p farthing-crash -- \
//!     --out target/crash.json --page docs/crash-matrix.md
//! cargo run --release -p farthing-crash -- --check
//! cargo run --release -p farthing-crash -- --only WHO:EFFECT:BLOW
//! ```
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use farthing_crash::damage::{MOMENTS, Old, flips, put_back};
use farthing_crash::page::{Rows, Totals, row_of};
use farthing_crash::world::{Blow, Effect, Plan, STORE};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/crash-matrix.md");

#[derive(Default)]
struct Args {
    out: Option<String>,
    page: Option<String>,
    check: bool,
    only: Option<Plan>,
}

fn args() -> Result<Args, String> {
    let mut args = Args::default();
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        if name == "--check" {
            args.check = true;
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--out" => args.out = Some(value),
            "--page" => args.page = Some(value),
            "--only" => args.only = Some(plan(&value).ok_or_else(|| format!("{value} is not WHO:EFFECT:BLOW"))?),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(args)
}

/// `2:63:refused` is the hub's 63rd effect.
fn plan(text: &str) -> Option<Plan> {
    let mut parts = text.split(':');
    let (who, index) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let blow = match parts.next()? {
        "before" => Blow::Before,
        "after" => Blow::After,
        "torn" => Blow::Torn,
        "refused" => Blow::Refused,
        "quota" => Blow::Quota,
        _ => return None,
    };
    Some(Plan { who, index, blow })
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}\noptions: --out FILE --page FILE --check --only WHO:EFFECT:BLOW");
            return ExitCode::from(2);
        }
    };
    if let Some(plan) = args.only {
        let report = farthing_crash::run_traced(plan);
        println!("{}", report.broken.as_deref().unwrap_or("nothing lost"));
        return if report.broken.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    // Panics of the machines are findings, and reported as such.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let Some(totals) = all() else { return ExitCode::FAILURE };
    let seconds = started.elapsed().as_secs_f64();
    let mut broken = totals.broken();
    println!(
        "{} effects, {} runs, {} flipped bits, {} old stores in {seconds:.1} s: {} wei lost, {} failures",
        totals.effects,
        totals.runs(),
        totals.flipped(),
        totals.old.iter().map(|old| old.runs).sum::<u64>(),
        totals.lost(),
        broken.len()
    );
    let page = totals.page();
    if args.check && std::fs::read_to_string(PAGE).unwrap_or_default().replace('\r', "") != page {
        broken.push("docs/crash-matrix.md is not what this gives; write it anew with --page".into());
    }
    for why in broken.iter().take(40) {
        println!("{why}");
    }
    let json = format!("{:#}\n", totals.json(seconds));
    for (file, text) in [(&args.out, &json), (&args.page, &page)] {
        if let Some(file) = file
            && let Err(error) = std::fs::write(file, text)
        {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    if broken.is_empty() && totals.lost() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All runs.
fn all() -> Option<Totals> {
    let plain = farthing_crash::run(None);
    if let Some(why) = plain.broken {
        println!("without any crash: {why}");
        return None;
    }
    let mut plans: Vec<(&Effect, Blow)> = Vec::new();
    for effect in &plain.effects {
        plans.extend([(effect, Blow::Before), (effect, Blow::After)]);
        if effect.label == STORE {
            plans.extend([(effect, Blow::Torn), (effect, Blow::Refused), (effect, Blow::Quota)]);
        }
    }
    let rows: Mutex<(Rows, u64, u64)> = Mutex::default();
    each(plans.len(), |index| {
        let (effect, blow) = plans[index];
        let report = farthing_crash::run(Some(Plan { who: effect.who, index: effect.index, blow }));
        let mut guard = rows.lock().unwrap();
        let (rows, missed, differ) = &mut *guard;
        *missed += u64::from(!report.struck);
        *differ += u64::from(report.broken.is_none() && report.outcome != plain.outcome);
        let row = rows.entry(row_of(effect, blow)).or_default();
        row.moments.insert(effect.index);
        row.runs += 1;
        row.lost += report.lost;
        row.seen.extend(report.seen);
        let name = || format!("--only {}:{}:{}", effect.who, effect.index, format!("{blow:?}").to_lowercase());
        row.broken.extend(report.broken.map(|why| format!("{} ({}): {why}", name(), effect.label)));
        if !report.struck {
            row.broken.push(format!("{}: the moment never came", name()));
        }
    });
    let (rows, missed, differ) = rows.into_inner().unwrap();
    let moments: Vec<(usize, usize, usize)> =
        (0..3).flat_map(|who| (1..MOMENTS).flat_map(move |to| (0..to).map(move |from| (who, from, to)))).collect();
    let old: Mutex<[Old; 3]> = Mutex::default();
    each(moments.len(), |index| {
        let (who, from, to) = moments[index];
        let mut one = Old::default();
        put_back(who, from, to, &mut one);
        old.lock().unwrap()[who].add(one);
    });
    let payments = plain.outcome.iter().filter(|how| **how != "never made").count();
    let (effects, flips) = (plain.effects.len(), flips());
    Some(Totals { effects, payments, rows, flips, old: old.into_inner().unwrap(), missed, differ })
}

/// Does `work` for every index below `count`, on several threads.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    // Whoever waits is told that it goes on.
                    if index.is_multiple_of(100) {
                        println!("{index} of {count}");
                    }
                    work(index);
                }
            });
        }
    });
}
