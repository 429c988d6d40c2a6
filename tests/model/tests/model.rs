//! A small run of the model test; the program runs as many schedules as one likes.
#![cfg(feature = "evm")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use farthing_model::evm::Code;
use farthing_model::{Judge, Run, schedule, seed_of, shrink};

/// About ten seconds of a debug build.
const SCHEDULES: u64 = 300;

#[test]
fn an_honest_participant_loses_nothing() {
    let code = Code::load().unwrap();
    for index in 0..SCHEDULES {
        let judge = (index % 10 == 0).then_some(&code as &dyn Judge);
        let run = Run { judge, ..Run::plain() };
        let report = schedule(seed_of(1, index), run);
        if report.broken.is_some() {
            let small = shrink(report.seed, run);
            panic!("seed {}: {:?}\n{}", small.seed, small.broken, small.trace.join("\n"));
        }
    }
}

/// The rules whose absence shows soon; the program hunts all of them.
#[cfg(feature = "mutants")]
#[test]
fn the_adversary_finds_what_a_missing_rule_lets_through() {
    use farthing_model::mutants::{MUTANTS, hunt};
    let code = Code::load().unwrap();
    for mutant in MUTANTS.iter().filter(|mutant| [1, 8, 10, 11, 14, 15, 19].contains(&mutant.rule)) {
        assert!(hunt(mutant, 7, 2_000, Some(&code)).is_some(), "rule {}: {}", mutant.rule, mutant.name);
    }
}
