//! The client's rooms stand in a row: each uses those before it and none after it.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

/// From what everybody uses to what nobody does. `chain` and `transport` are one step: either asks by the other's rules.
const ROW: [&[&str]; 6] = [
    &["failure", "global", "js", "signal", "small", "task", "url"],
    &["signer", "store"],
    &["chain", "transport"],
    &["entrance"],
    &["client"],
    &["face"],
];

/// What a room's files name after `crate::`.
fn named(path: &Path) -> Vec<String> {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().flat_map(|entry| named(&entry.unwrap().path())).collect();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let word =
        |rest: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    text.split("crate::").skip(1).map(word).collect()
}

#[test]
fn no_room_of_the_client_uses_one_after_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let step = |room: &str| ROW.iter().position(|rooms| rooms.contains(&room));
    let mut seen = 0;
    for entry in std::fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if room == "lib" {
            continue;
        }
        let own = step(&room);
        assert!(own.is_some(), "{room} has no place in the row");
        for other in named(&path) {
            assert!(!other.is_empty(), "{room} names rooms in braces");
            assert!(step(&other).is_none_or(|other| Some(other) <= own), "{room} uses {other}, which comes after it");
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} uses were found");
}
