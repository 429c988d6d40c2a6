//! The fuzz targets of `fuzz/`, on stable: their corpus, and mutations of it from a fixed seed. `FUZZ_SECONDS` says how
//! long each target runs; libFuzzer does the same for hours, with coverage to guide it (`fuzz/README.md`).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<_> = paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "{name} has no corpus");
    corpus
}

/// A few small changes: bits, bytes, pieces cut out, doubled, or taken from another input.
fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        let length = 1 + random.below(16);
        match random.below(7) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.next().to_le_bytes()[0],
            2 => data.insert(at, random.next().to_le_bytes()[0]),
            3 => drop(data.drain(at..(at + length).min(data.len()))),
            4 => {
                let piece = data[at..(at + length).min(data.len())].to_vec();
                data.splice(at..at, piece);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                data.splice(at.., other[from..].iter().copied());
            }
            _ if at < data.len() => data[at] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'"'][random.below(7)],
            _ => data.push(random.next().to_le_bytes()[0]),
        }
    }
    data.truncate(16 * 1024);
    data
}

fn run(name: &str) {
    let (_, target) = farthing_targets::TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let check = |data: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("{name} fails for this input, which belongs into fuzz/corpus/{name}: {hex}");
        }
    };
    let corpus = corpus(name);
    for data in &corpus {
        check(data);
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut random = Random(0x0066_6172_7468_696e);
    let mut runs = 0_u64;
    while Instant::now() < end {
        check(&mutate(&mut random, &corpus));
        runs += 1;
    }
    assert!(runs > 0, "{name}: nothing but the corpus was tried in {seconds} seconds");
}

#[test]
fn amount() {
    run("amount");
}

#[test]
fn channel() {
    run("channel");
}

#[test]
fn condition() {
    run("condition");
}

#[test]
fn envelope() {
    run("envelope");
}

#[test]
fn keys() {
    run("keys");
}

#[test]
fn lane() {
    run("lane");
}

#[test]
fn message() {
    run("message");
}

#[test]
fn records() {
    run("records");
}

#[test]
fn schedule() {
    run("schedule");
}

#[test]
fn every_target_is_run_here() {
    let names: Vec<&str> = farthing_targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["amount", "channel", "condition", "envelope", "keys", "lane", "message", "records", "schedule"]);
}
