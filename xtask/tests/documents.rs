//! What the documents name in backticks is there: a path of this repository, from its root or by its end.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Not ours, or made by a build.
const PASSED_OVER: [&str; 4] = [".git", "target", "node_modules", "corpus"];
/// Endings of files that are ours wherever they are named; of other files only those that are named with their folder.
const OURS: [&str; 6] = [".rs", ".mjs", ".cjs", ".sol", ".sql", ".d.ts"];
const WITH_FOLDER: [&str; 6] = [".md", ".json", ".toml", ".html", ".css", ".txt"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file and folder, folders with a slash at their end, each after a slash.
fn collect(folder: &Path, named: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{named}/{name}");
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &path, found);
            found.insert(format!("{path}/"));
        } else {
            found.insert(path);
        }
    }
}

/// What stands in backticks outside of blocks of code, and looks like a path of ours.
fn paths(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).filter(|code| is_path(code)));
        }
    }
    found
}

fn is_path(code: &str) -> bool {
    let plain = code.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
    let ends = |endings: &[&str]| endings.iter().any(|ending| code.ends_with(ending));
    let inside = code.contains('/') && !code.starts_with('/');
    let theirs = PASSED_OVER.iter().any(|folder| code.split('/').any(|part| part == *folder));
    plain && !theirs && !code.starts_with('.') && (ends(&OURS) || inside && (code.ends_with('/') || ends(&WITH_FOLDER)))
}

fn documents() -> Vec<PathBuf> {
    let listed = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // Decisions are told as they were taken, of what was there then.
    let mut documents: Vec<PathBuf> = listed(root()).chain(listed(root().join("docs"))).collect();
    documents.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    documents.sort();
    documents
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let mut known = BTreeSet::new();
    collect(&root(), "", &mut known);
    let (mut seen, mut missing) = (0, Vec::new());
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for path in paths(&text) {
            seen += 1;
            let end = format!("/{path}");
            if !known.iter().any(|name| name.ends_with(&end)) {
                missing.push(format!("{}: {path}", document.file_name().unwrap().display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(seen > 50, "documents name {seen} paths");
}

#[test]
fn every_room_stands_in_the_architecture() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    for entry in fs::read_dir(root()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if !entry.file_type().unwrap().is_dir() || name.starts_with('.') || PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        if ignored.lines().any(|line| line == format!("/{name}/")) {
            continue;
        }
        assert!(text.contains(&format!("| `{name}/` |")), "{name}/ has no row in ARCHITECTURE.md");
    }
}
