//! One run: a fresh stage, one or more attacks at once, and the row of the report that comes of it.

use crate::attacks::{Attack, Run};
use crate::ending;
use crate::field::Field;
use crate::honest::percentile;
use crate::ledger;
use crate::meter;
use crate::stage::{ATTACKERS, Stage};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Preparations that take longer are part of the attack.
const PREPARATION: Duration = Duration::from_secs(45);
/// An attack ends by itself when the time is up, or is ended.
const GRACE: Duration = Duration::from_secs(3);

/// Runs it on a stage of its own.
pub async fn alone(program: &Path, run: &Run, seed: u64, time: Duration) -> Value {
    let start = Instant::now();
    let stage = Stage::set(program, run.setting).await;
    let first = ledger::newest(&stage.chain).await.number;
    let field = Field::new(&stage, run.attacks.len(), seed, time).await;
    // The attackers' work must not keep the honest pair's tasks waiting: it is not on their machine.
    let attackers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let set = start.elapsed();
    let attacks: Vec<_> = run.attacks.iter().map(|attack| attackers.spawn(lead(*attack, field.for_one()))).collect();
    let begun = tokio::time::timeout(PREPARATION, field.begin()).await.is_ok();
    if !begun {
        field.note("the preparations took too long");
        field.begin_now();
    }

    let prepared = start.elapsed() - set;
    let cpu = meter::cpu(stage.hub.pid().await.unwrap_or_default());
    let seen = stage.honest.pay(&stage.hub.url, time).await;
    let attacked = ledger::newest(&stage.chain).await.number;
    let files = meter::files(stage.hub.pid().await.unwrap_or_default());
    for attack in attacks {
        let abort = attack.abort_handle();
        match tokio::time::timeout(GRACE, attack).await {
            Ok(Ok(Err(why))) => field.note(format!("gave up: {why}")),
            Ok(Err(error)) => field.note(format!("panicked: {error}")),
            Ok(Ok(Ok(()))) => {}
            Err(_) => abort.abort(),
        }
    }
    let pid = stage.hub.pid().await.unwrap_or_default();
    let (rss, cpu) = (meter::peak(pid), meter::cpu(pid).saturating_sub(cpu));
    let gas = meter::gas(&stage.chain, first).await;
    let died = stage.hub.has_died().await;
    let left = std::mem::take(&mut *field.left.lock().unwrap());
    let (notes, failed, attempts) = (left.notes.clone(), left.failed, field.attempts());
    let over = start.elapsed();
    let verdict = ending::end(&stage, left, 0).await;
    stage.hub.kill().await;
    attackers.shutdown_background();

    let attackers_gas: u128 = ATTACKERS.filter_map(|account| gas.get(&stage.chain.accounts[account])).sum();
    json!({
        "attack": run.name,
        "with": run.attacks.iter().map(|attack| attack.name).collect::<Vec<_>>(),
        "seed": seed,
        "seconds": time.as_secs(),
        "stage_ms": set.as_millis() as u64,
        "preparation_ms": prepared.as_millis() as u64,
        "ending_ms": (start.elapsed() - over).as_millis() as u64,
        "blocks": attacked.saturating_sub(first),
        "attempts": attempts,
        "honest_payments": seen.times.len() as u64 + seen.failed,
        "honest_p50_ms": milliseconds(percentile(&seen.times, 50)),
        "honest_p99_ms": milliseconds(percentile(&seen.times, 99)),
        "honest_failed": seen.failed + failed,
        "honest_hung_up_on": seen.hung_up_on,
        "honest_lost_wei": verdict.honest_lost.to_string(),
        "newcomers": seen.newcomers,
        "newcomers_failed": seen.newcomers_failed,
        "blocks_behind": seen.behind,
        "hub_lost_wei": verdict.hub_lost.to_string(),
        "hub_gas_wei": gas.get(&stage.hub_account()).copied().unwrap_or_default().to_string(),
        "hub_gas_with_ending_wei": verdict.gas.to_string(),
        "hub_tied_wei": verdict.tied.to_string(),
        "hub_cpu_ms": cpu,
        "hub_files": files,
        "hub_died": died,
        "attackers_stake_wei": verdict.stake.to_string(),
        "attackers_gas_wei": attackers_gas.to_string(),
        "unclaimed_wei": verdict.left.to_string(),
        "rss_mib": rss,
        "note": notes.into_iter().chain(seen.why).collect::<Vec<_>>().join("; "),
    })
}

/// An attack that fails before it has begun must not keep the others from it.
async fn lead(attack: Attack, field: Arc<Field>) -> Result<(), String> {
    let ended = (attack.act)(Arc::clone(&field)).await;
    field.begin().await;
    ended.map_err(|why| format!("{}: {why}", attack.name))
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
