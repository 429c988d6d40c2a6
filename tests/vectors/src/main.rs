//! The golden vectors in `vectors/`, which bind Rust, Solidity and JavaScript to one protocol.
//!
//! `cargo run -p farthing-vectors` writes them; `-- --check` fails with a diff instead, and
//! `-- --out DIR` writes them elsewhere. What is in them is for ever: whoever changes a byte changes the protocol.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a generator that stops where it is wrong"
)]

mod codes;
mod common;
mod conditions;
mod ids;
mod invalid;
mod locks;
mod messages;
mod settlements;
mod storage;
mod typed;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors"));
    let mut check = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--check", None) => check = true,
            ("--out", Some(path)) => folder = path.into(),
            _ => {
                eprintln!("usage: vectors [--check | --out DIR]");
                return ExitCode::FAILURE;
            }
        }
    }
    let files = [
        ("codes.json", codes::all()),
        ("conditions.json", conditions::all()),
        ("ids.json", ids::all()),
        ("invalid.json", invalid::all()),
        ("locks.json", locks::all()),
        ("messages.json", messages::all()),
        ("settlements.json", settlements::all()),
        ("storage-v2.json", kept(include_str!("../../../vectors/storage-v2.json"))),
        ("storage-v3.json", kept(include_str!("../../../vectors/storage-v3.json"))),
        ("storage-v4.json", storage::all()),
        ("typed.json", typed::all()),
    ];
    let mut sound = true;
    for (name, value) in files {
        let path = folder.join(name);
        let text = pretty(&value);
        if check {
            sound &= is_same(&path, &text);
        } else {
            std::fs::write(&path, text).expect("the folder can be written");
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What an earlier build wrote, and every later one reads.
fn kept(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

/// Prints the lines that differ.
fn is_same(path: &Path, fresh: &str) -> bool {
    let stored = std::fs::read_to_string(path).unwrap_or_default().replace('\r', "");
    if stored == fresh {
        return true;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (stored.lines().collect(), fresh.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    eprintln!("{}: not what the code gives, from line {} on", path.display(), head + 1);
    for (sign, lines) in [('-', &old[head..old.len() - tail]), ('+', &new[head..new.len() - tail])] {
        for line in lines.iter().take(20) {
            eprintln!("{sign} {line}");
        }
        if lines.len() > 20 {
            eprintln!("{sign} … and {} more", lines.len() - 20);
        }
    }
    false
}
