//! The page and the report.

use super::damage::{Flips, Old};
use super::world::{Blow, Effect, NAMES};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Runs of one kind of moment.
#[derive(Default)]
pub struct Row {
    pub moments: BTreeSet<u32>,
    pub runs: u64,
    pub lost: u128,
    pub seen: BTreeSet<String>,
    pub broken: Vec<String>,
}

/// By participant, what it did, and whether it was killed or its store failed.
pub type Rows = BTreeMap<(usize, String), Row>;

pub struct Totals {
    pub effects: usize,
    pub payments: usize,
    pub rows: Rows,
    pub flips: Flips,
    pub old: [Old; 3],
    /// Runs in which the planned moment never came.
    pub missed: u64,
    pub differ: u64,
}

/// The row that a run belongs to.
pub fn row_of(effect: &Effect, blow: Blow) -> (usize, String) {
    let label = match blow {
        Blow::Before | Blow::After => effect.label.clone(),
        Blow::Torn => "store, in the middle of it".into(),
        Blow::Refused => "store, which is refused".into(),
        Blow::Quota => "store, which is refused four times".into(),
    };
    (effect.who, label)
}

impl Totals {
    pub fn runs(&self) -> u64 {
        self.rows.values().map(|row| row.runs).sum()
    }

    pub fn lost(&self) -> u128 {
        self.rows.values().map(|row| row.lost).sum()
    }

    pub fn broken(&self) -> Vec<String> {
        let runs = self.rows.values().flat_map(|row| row.broken.iter().cloned());
        let old = self.old.iter().flat_map(|old| old.wrong.iter().cloned());
        runs.chain(self.flips.silent.iter().cloned()).chain(old).collect()
    }

    pub fn flipped(&self) -> u64 {
        self.flips.noticed.values().sum()
    }

    pub fn json(&self, seconds: f64) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|((who, what), row)| {
                serde_json::json!({
                    "who": NAMES[*who], "at": what, "moments": row.moments.len(), "runs": row.runs,
                    "wei_lost": row.lost.to_string(), "seen": row.seen,
                })
            })
            .collect();
        let old: Vec<_> = (0..3)
            .map(|who| {
                let old = &self.old[who];
                serde_json::json!({
                    "who": NAMES[who], "runs": old.runs, "behind": old.behind, "noticed": old.noticed,
                    "unpaid": old.unpaid, "unpaid_noticed": old.unpaid_noticed,
                })
            })
            .collect();
        serde_json::json!({
            "effects": self.effects, "payments": self.payments, "runs": self.runs(),
            "wei_lost": self.lost().to_string(), "failures": self.broken().len(),
            "flipped_bits": self.flipped(), "flipped_bits_unnoticed": self.flips.silent.len(),
            "old_stores": old, "rows": rows, "seconds": seconds,
        })
    }

    pub fn page(&self) -> String {
        let mut page = String::new();
        let _ = write!(
            page,
            "# Crash matrix\n\n\
             Generated; `cargo xtask test` checks it. To write it anew:\n\n\
             <!-- block: not run: the step \"crash matrix\" of the whole test does it -->\n\
             ```sh\ncargo run --release -p farthing-crash -- --page docs/crash-matrix.md\n```\n\n\
             One scenario, in one process, with the machines that the client and the hub run: deposits of two assets, \
             payments both ways by lock and direct, {} in all, one to a payee who is away and comes back, one cancelled, \
             a withdrawal, the closing of one asset, an exit with pending locks, an exit that somebody started with no \
             proofs at all against one who is away (the watchtower answers), settlement, claims. It has {} effects: \
             everything that a participant stores, sends, receives, submits, reads or tells.\n\n\
             For each of them the scenario runs again, and the participant is killed before it, and once more after it: \
             its memory is gone, its connections too, and it starts from what its store holds. In the runs \"after\", \
             what was on its way still arrives, and the chain can't be read for a while. At the end of every run each \
             account must have exactly what is its own, the contract must be empty, and every payment must have ended \
             once, in the same way for payer and payee.\n\n\
             **{} runs, {} wei lost.** In {} of them a payment that goes through without the crash failed, for both \
             sides: an answer that is refused while the chain is not seen is not tried again by itself.\n\n\
             | who | killed before and after | moments | runs | wei lost | what users saw |\n\
             | --- | --- | --- | --- | --- | --- |\n",
            self.payments,
            self.effects,
            self.runs(),
            self.lost(),
            self.differ,
        );
        for ((who, what), row) in &self.rows {
            let seen: Vec<&str> = row.seen.iter().map(String::as_str).collect();
            let seen = if seen.is_empty() { "nothing".into() } else { seen.join("; ") };
            let (moments, runs, lost) = (row.moments.len(), row.runs, row.lost);
            let _ = writeln!(page, "| {} | {what} | {moments} | {runs} | {lost} | {seen} |", NAMES[*who]);
        }
        let _ = write!(
            page,
            "\n\"had to ask again\": the process died before the wish was stored; nothing was signed, and the application \
             does not find it. `chain-stale`: nothing is signed before the chain was read again. `storage-failed`: nothing is \
             signed or accepted until the store is opened again.\n\n\
             ## Stores that come back wrong\n\n\
             **A flipped bit**, in each record that was ever stored, at up to 96 places, in a store that is otherwise \
             whole. It must be refused, never read as something else, and never as an empty store.\n\n\
             | who | records | flipped | `storage-corrupt` | `storage-version` | unnoticed |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for (who, name) in NAMES.iter().enumerate().take(3) {
            let noticed = |code: &'static str| self.flips.noticed.get(&(who, code)).copied().unwrap_or(0);
            let (corrupt, version) = (noticed("storage-corrupt"), noticed("storage-version"));
            let silent = self.flips.silent.iter().filter(|text| text.starts_with(name)).count();
            let records = self.flips.records.get(&who).copied().unwrap_or(0);
            let flipped = corrupt + version + silent as u64;
            let _ = writeln!(page, "| {} | {records} | {flipped} | {corrupt} | {version} | {silent} |", name);
        }
        let _ = write!(
            page,
            "\n**A store of an earlier moment**, put back after a later step; then everybody connects and tries to go on, \
             and at last the right store is found and the scenario runs to its end. It must be noticed with the first \
             sync (`state-outdated`), whether the participant had paid since or was paid, and nothing may be signed in \
             that lane.\n\n\
             | who | runs | had signed since | noticed | was paid since | noticed |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for (name, old) in NAMES.iter().zip(&self.old) {
            let Old { runs, behind, noticed, unpaid, unpaid_noticed, .. } = old;
            let _ = writeln!(page, "| {name} | {runs} | {behind} | {noticed} | {unpaid} | {unpaid_noticed} |");
        }
        page
    }
}
