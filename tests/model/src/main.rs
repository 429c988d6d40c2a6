//! The model test of section 9 of `docs/protocol.md`, at any size: a randomised adversary against one honest
//! participant, with the real machines, a model of the contract, and the contract's bytecode.
//!
//! ```sh
//! cargo run --release -p farthing-model --features mutants -- \
//!     --schedules 100000 --seed 1 --evm 2000 --out target/model.json
//! cargo run --release -p farthing-model --features mutants -- --only SEED
//! ```
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use farthing_model::evm::Code;
use farthing_model::mutants::{BY_BYTES, Found, MUTANTS, Switch, hunt, hunt_by_bytes};
use farthing_model::{Judge, Report, Run, bytes_of, play, schedule, seed_of, shrink};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

struct Args {
    schedules: u64,
    seed: u64,
    evm: u64,
    bytes: u64,
    sleepless: u64,
    mutants: u64,
    threads: u64,
    out: Option<String>,
    adversary: Option<String>,
    only: Option<u64>,
    rule: Option<u8>,
}

fn args() -> Result<Args, String> {
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get() as u64);
    let mut args = Args {
        schedules: 10_000,
        seed: 1,
        evm: 200,
        bytes: 2_000,
        sleepless: 2_000,
        mutants: 50_000,
        threads,
        out: None,
        adversary: None,
        only: None,
        rule: None,
    };
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} takes a number, not {value:?}"));
        match name.as_str() {
            "--schedules" => args.schedules = number()?,
            "--seed" => args.seed = number()?,
            "--evm" => args.evm = number()?,
            "--bytes" => args.bytes = number()?,
            "--sleepless" => args.sleepless = number()?,
            "--mutants" => args.mutants = number()?,
            "--threads" => args.threads = number()?.max(1),
            "--out" => args.out = Some(value),
            "--adversary" => args.adversary = Some(value),
            "--only" => args.only = Some(number()?),
            "--rule" => args.rule = u8::try_from(number()?).ok(),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            eprintln!(
                "{why}\noptions: --schedules N --seed S --evm M --bytes B --sleepless S --mutants LIMIT --threads T --out FILE --adversary FILE --only SEED --rule N"
            );
            return ExitCode::from(2);
        }
    };
    // Panics of the machines are findings, and reported as such.
    if args.only.is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let code = match Code::load() {
        Ok(code) => Some(code),
        Err(why) if args.evm == 0 => {
            eprintln!("{why}");
            None
        }
        Err(why) => {
            eprintln!("{why}; or run with --evm 0");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = args.only {
        return replay(seed, args.rule, code.as_ref());
    }
    run(&args, code.as_ref())
}

/// One schedule, with its trace.
fn replay(seed: u64, rule: Option<u8>, code: Option<&Code>) -> ExitCode {
    let run = Run { judge: code.map(judge), trace: true, ..Run::plain() };
    let report = farthing_protocol::rules::without(rule.unwrap_or(0), || schedule(seed, run));
    println!("{}", report.trace.join("\n"));
    println!("{}", report.broken.as_deref().unwrap_or("nothing lost"));
    if report.broken.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[derive(Default)]
struct Totals {
    steps: u64,
    evm: u64,
    lost: u128,
    roles: BTreeMap<String, u64>,
    failures: Vec<Report>,
    /// By role, what the schedules contained, and in how many of them.
    counts: BTreeMap<String, BTreeMap<&'static str, (u64, u64)>>,
}

fn run(args: &Args, code: Option<&Code>) -> ExitCode {
    let started = Instant::now();
    let totals = Mutex::new(Totals::default());
    each(args.threads, args.schedules, |index| {
        let judge = code.filter(|_| index < args.evm).map(judge);
        let report = schedule(seed_of(args.seed, index), Run { judge, ..Run::plain() });
        let mut totals = totals.lock().unwrap();
        totals.steps += report.steps;
        totals.evm += u64::from(judge.is_some());
        totals.lost += report.lost;
        let counts = totals.counts.entry(format!("{:?}", report.role)).or_default();
        for (what, times) in &report.counts {
            let entry = counts.entry(what).or_default();
            *entry = (entry.0 + 1, entry.1 + times);
        }
        *totals.roles.entry(format!("{:?}", report.role)).or_default() += 1;
        if report.broken.is_some() {
            totals.failures.push(report);
        }
    });
    let totals = totals.into_inner().unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} schedules, {} steps, {} of them against the contract, in {seconds:.1} s: {} wei lost, {} failures",
        args.schedules,
        totals.steps,
        totals.evm,
        totals.lost,
        totals.failures.len()
    );
    if let Some(first) = totals.failures.iter().min_by_key(|report| report.steps) {
        let small = shrink(first.seed, Run { judge: code.map(judge), ..Run::plain() });
        println!("--- seed {}, shortened to {} steps\n{}", small.seed, small.steps, small.trace.join("\n"));
        for report in totals.failures.iter().take(20) {
            println!("--only {}: {}", report.seed, report.broken.as_deref().unwrap_or_default());
        }
    }
    let mut broken = totals.failures.len();
    for mutant in &MUTANTS {
        if let Switch::Direct(scenario) = mutant.switch
            && let Err(error) = scenario()
        {
            println!("rule {} is broken without any mutant: {error}", mutant.rule);
            broken += 1;
        }
    }
    broken += by_bytes(args) + sleepless(args);
    let found: Mutex<BTreeMap<usize, Option<Found>>> = Mutex::default();
    if args.mutants > 0 {
        each(args.threads, MUTANTS.len() as u64, |index| {
            if args.rule.is_some_and(|rule| rule != MUTANTS[index as usize].rule) {
                return;
            }
            let result = hunt(&MUTANTS[index as usize], args.seed, args.mutants, code.map(judge));
            found.lock().unwrap().insert(index as usize, result);
        });
    }
    let found = found.into_inner().unwrap();
    let fuzzed: Mutex<BTreeMap<usize, Option<Found>>> = Mutex::default();
    if args.mutants > 0 {
        each(args.threads, BY_BYTES.len() as u64, |index| {
            if args.rule.is_some_and(|rule| rule != BY_BYTES[index as usize]) {
                return;
            }
            let result = hunt_by_bytes(BY_BYTES[index as usize], args.seed, args.mutants);
            fuzzed.lock().unwrap().insert(index as usize, result);
        });
    }
    let fuzzed = fuzzed.into_inner().unwrap();
    let mut missed = 0;
    let mut listed = Vec::new();
    let named = found.iter().map(|(index, result)| (MUTANTS[*index].rule, MUTANTS[*index].name, result));
    let named = named.chain(fuzzed.iter().map(|(index, result)| (BY_BYTES[*index], "by random bytes", result)));
    for (rule, name, result) in named {
        let how = result.as_ref().map(|found| found.report.broken.clone().unwrap_or_default());
        let after = result.as_ref().map(|found| found.after);
        let text = after.map_or("NOT FOUND".to_string(), |after| format!("found after {after:>6}"));
        println!("rule {:>2} {text}  {:<52} {}", rule, name, how.as_deref().unwrap_or_default());
        missed += usize::from(result.is_none());
        listed.push(serde_json::json!({
            "rule": rule, "name": name, "found_after": after, "how": how,
            "seed": result.as_ref().map(|found| found.report.seed.to_string()),
        }));
    }
    println!("{} mutants, {missed} not found; {:.1} s in all", listed.len(), started.elapsed().as_secs_f64());
    if let Some(out) = &args.out {
        let json = serde_json::json!({
            "schedules": args.schedules, "evm_schedules": totals.evm, "seed": args.seed,
            "wei_lost": totals.lost.to_string(), "failures": broken, "steps": totals.steps,
            "seconds": seconds, "roles": totals.roles, "mutants": listed,
        });
        if let Err(error) = std::fs::write(out, format!("{json:#}\n")) {
            eprintln!("{out}: {error}");
            return ExitCode::FAILURE;
        }
    }
    if let Some(file) = &args.adversary {
        let json = adversary(args, &totals, &listed, broken);
        if let Err(error) = std::fs::write(file, format!("{json:#}\n")) {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    if broken == 0 && missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Schedules of random bytes, as a fuzzer starts from them: how many of them fail.
fn by_bytes(args: &Args) -> usize {
    let failures = Mutex::new(0);
    each(args.threads, args.bytes, |index| {
        let data = bytes_of(args.seed, index);
        if let Some(broken) = play(&data, Run::plain()).broken {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("a schedule of bytes, which belongs into fuzz/corpus/schedule: {broken}\n{hex}");
            *failures.lock().unwrap() += 1;
        }
    });
    failures.into_inner().unwrap()
}

/// A hub whose channels sleep does just what one does whose channels are always awake: in how many schedules not.
fn sleepless(args: &Args) -> usize {
    let failures = Mutex::new(0);
    each(args.threads, args.schedules.min(args.sleepless), |index| {
        let seed = seed_of(args.seed, index);
        let traced = || schedule(seed, Run { trace: true, ..Run::plain() }).trace;
        let (asleep, awake) = (traced(), farthing_protocol::rules::without(101, traced));
        if asleep != awake {
            let first = asleep.iter().zip(&awake).find(|(one, other)| one != other);
            println!("--only {seed}: a channel that sleeps misses something: {first:?}");
            *failures.lock().unwrap() += 1;
        }
    });
    failures.into_inner().unwrap()
}

/// What the adversaries did, by who was honest, and what it got them.
fn adversary(args: &Args, totals: &Totals, mutants: &[serde_json::Value], failures: usize) -> serde_json::Value {
    let name = |role: &str| match role {
        "Some(Hub)" => "hostile clients against an honest hub",
        "Some(Payer)" => "a hostile hub against an honest payer",
        "Some(Payee)" => "a hostile hub against an honest payee",
        _ => "ended by a panic",
    };
    let roles: serde_json::Map<String, serde_json::Value> = totals
        .counts
        .iter()
        .map(|(role, counts)| {
            let contained: serde_json::Map<String, serde_json::Value> = counts
                .iter()
                .map(|(what, (schedules, times))| {
                    ((*what).into(), serde_json::json!({ "schedules": schedules, "times": times }))
                })
                .collect();
            let schedules = totals.roles.get(role);
            (name(role).into(), serde_json::json!({ "schedules": schedules, "contained": contained }))
        })
        .collect();
    serde_json::json!({
        "schedules": args.schedules, "against_bytecode": totals.evm, "seed": args.seed, "steps": totals.steps,
        "wei_lost_by_the_honest_side": totals.lost.to_string(), "failures": failures, "roles": roles,
        "mutants": mutants,
    })
}

fn judge(code: &Code) -> &dyn Judge {
    code
}

/// Does `work` for every index below `count`, on several threads.
fn each(threads: u64, count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(index);
                }
            });
        }
    });
}
