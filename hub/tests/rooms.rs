//! The rooms of this crate stand in a row: no two of them need each other. So the watchtower is a program of its own,
//! which takes what it shares with the hub and which the hub knows nothing of.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Each room, a file or folder of `src/`, and those whose names it writes after `crate::`.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let mut rooms = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut rooms);
    rooms
}

fn read(folder: &Path, within: Option<&str>, rooms: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let room = within.unwrap_or(name);
        if path.is_dir() {
            read(&path, Some(room), rooms);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let named = text.split("crate::").skip(1).map(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
            });
            rooms.entry(room.to_owned()).or_default().extend(named.filter(|named| named != room));
        }
    }
}

#[test]
fn no_two_rooms_need_each_other() {
    let mut left = rooms();
    let names: BTreeSet<String> = left.keys().cloned().collect();
    assert!(!left.values().flatten().any(String::is_empty), "a room is named right after `crate::`");
    assert!(["chain", "core", "rpc", "watch"].iter().all(|room| names.contains(*room)), "{names:?}");
    // Takes away, again and again, whatever needs nothing that is left.
    loop {
        let free: Vec<String> = left
            .iter()
            .filter(|(_, needs)| !needs.iter().any(|needed| left.contains_key(needed)))
            .map(|(room, _)| room.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|room, _| !free.contains(room));
    }
    assert!(left.is_empty(), "they need each other: {left:#?}");
}

#[test]
fn the_hub_knows_nothing_of_the_watchtower() {
    let who: Vec<String> =
        rooms().into_iter().filter(|(_, needs)| needs.contains("watch")).map(|(room, _)| room).collect();
    assert_eq!(who, ["cli"], "the command line starts either");
}
