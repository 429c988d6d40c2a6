//! Every numbered rule about money in a channel, switched off: the test has to notice.

use super::contract::Without;
use super::{Judge, Report, Run, bytes_of, direct, play, schedule, seed_of};
use farthing_protocol::rules;

/// How a rule is switched off.
#[derive(Clone, Copy)]
pub enum Switch {
    /// In the library.
    Library,
    /// In the model of the contract.
    Contract(Without),
    /// In the library, and shown by one scenario.
    Direct(fn() -> Result<(), String>),
}

pub struct Mutant {
    pub rule: u8,
    pub name: &'static str,
    pub switch: Switch,
}

const fn library(rule: u8, name: &'static str) -> Mutant {
    Mutant { rule, name, switch: Switch::Library }
}

pub const MUTANTS: [Mutant; 24] = [
    library(1, "a proof is stored before its signature is checked"),
    library(2, "a signed withdrawal counts only when it is mined"),
    library(3, "a payer spends what it has not accepted"),
    library(4, "a refused update is forgotten at once"),
    library(5, "a release is final without its acknowledgement"),
    Mutant { rule: 6, name: "locks are paired by key", switch: Switch::Direct(direct::locks_are_paired_by_name) },
    library(7, "a voucher counts for any expiry"),
    library(8, "an external condition is believed before it is final"),
    library(9, "dust has no cap"),
    Mutant { rule: 10, name: "secrets come from a counter", switch: Switch::Direct(direct::secrets_differ) },
    Mutant { rule: 11, name: "several live locks for one secret", switch: Switch::Direct(direct::one_lock_per_secret) },
    Mutant { rule: 13, name: "the payer alone shows a proof", switch: Switch::Contract(Without::Admission) },
    Mutant { rule: 13, name: "the last of equal nonces wins", switch: Switch::Contract(Without::EqualNonces) },
    Mutant { rule: 14, name: "closed is not for ever", switch: Switch::Contract(Without::ClosedForEver) },
    Mutant { rule: 16, name: "one closed asset refuses a whole call", switch: Switch::Contract(Without::Skipping) },
    library(15, "business goes on after a closing is signed"),
    Mutant { rule: 16, name: "a withdrawal that nobody takes is gone", switch: Switch::Contract(Without::Refusal) },
    Mutant { rule: 17, name: "a debt counts as zero", switch: Switch::Contract(Without::SignedNet) },
    library(18, "payments are accepted without seeing the chain"),
    library(11, "a tip is granted again"),
    library(22, "words count after the rest was given up"),
    library(23, "a hub takes evidence that is too late to pass on"),
    library(21, "a payer forgets the proofs before its newest one"),
    Mutant { rule: 19, name: "a payee's key is not bound to it", switch: Switch::Direct(direct::payee_is_bound) },
];

/// After how many schedules a mutant was found, and how.
pub struct Found {
    pub after: u64,
    pub report: Report,
}

/// Runs schedules with a rule switched off until one fails.
pub fn hunt(mutant: &Mutant, base: u64, limit: u64, code: Option<&dyn Judge>) -> Option<Found> {
    let base = base.wrapping_add(1_000_003 * u64::from(mutant.rule));
    let found = |after, report| Some(Found { after, report });
    if let Switch::Direct(scenario) = mutant.switch {
        let broken = rules::without(mutant.rule, scenario).err()?;
        return found(
            1,
            Report {
                seed: 0,
                role: None,
                steps: 1,
                lost: 0,
                broken: Some(broken),
                trace: Vec::new(),
                counts: Default::default(),
            },
        );
    }
    for index in 0..limit {
        let seed = seed_of(base, index);
        let report = match mutant.switch {
            Switch::Contract(without) => {
                // Whom the equal nonces hurt signs two proofs with one nonce, and no honest side does; whom a refused
                // withdrawal hurts has named its recipient; and an honest side asks again for what was refused. What
                // is left is that the contract does otherwise.
                let seen = matches!(without, Without::EqualNonces | Without::Skipping | Without::Refusal);
                let judge = code.filter(|_| seen);
                schedule(seed, Run { without, judge, ..Run::plain() })
            }
            _ => rules::without(mutant.rule, || schedule(seed, Run::plain())),
        };
        if report.broken.is_some() {
            return found(index + 1, report);
        }
    }
    None
}

/// Rules that schedules of random bytes miss soon enough: what a fuzzer starts from must not be blind.
pub const BY_BYTES: [u8; 7] = [1, 2, 5, 8, 15, 18, 21];

/// As [`hunt`], with schedules of bytes.
pub fn hunt_by_bytes(rule: u8, base: u64, limit: u64) -> Option<Found> {
    (0..limit).find_map(|index| {
        let data = bytes_of(base, index);
        let report = rules::without(rule, || play(&data, Run::plain()));
        report.broken.is_some().then_some(Found { after: index + 1, report })
    })
}
