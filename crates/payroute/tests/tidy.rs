//! The house rules that no lint knows: file length, module docs, banned names, and the map against the territory.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file in lines, its tests not counted.
const MAX_LINES: usize = 600;

/// Names that say nothing about what is inside.
const BANNED: [&str; 8] = [
    "utils", "util", "helpers", "helper", "common", "misc", "types", "stuff",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("crates")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    found
}

fn assert_none(what: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

#[test]
fn every_file_opens_by_saying_what_it_holds() {
    let silent =
        |(path, text): &(PathBuf, String)| (!text.starts_with("//!")).then(|| path.display().to_string());
    assert_none(
        "files without a `//!` opening",
        &sources().iter().filter_map(silent).collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let long = |(path, text): &(PathBuf, String)| {
        let lines = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        (lines > MAX_LINES).then(|| format!("{}: {lines} lines", path.display()))
    };
    assert_none(
        "files that are too long",
        &sources().iter().filter_map(long).collect::<Vec<_>>(),
    );
}

#[test]
fn no_name_says_nothing() {
    let empty = |(path, _): &(PathBuf, String)| {
        let banned = |part: &std::ffi::OsStr| BANNED.iter().any(|name| part == *name);
        let stem = path.file_stem().unwrap_or_default();
        let versioned = stem
            .to_str()
            .is_some_and(|stem| stem.ends_with("_new") || stem.ends_with("_v2"));
        (path.iter().any(banned) || banned(stem) || versioned).then(|| path.display().to_string())
    };
    assert_none(
        "files with an empty name",
        &sources().iter().filter_map(empty).collect::<Vec<_>>(),
    );
}

#[test]
fn no_code_is_commented_out() {
    let code = |line: &str| {
        let Some(text) = line.trim_start().strip_prefix("// ") else {
            return false;
        };
        text.ends_with(';') && (text.starts_with("let ") || text.starts_with("use ") || text.contains("();"))
    };
    let dead = |(path, text): &(PathBuf, String)| {
        let at = text.lines().position(code)?;
        Some(format!("{}:{}", path.display(), at + 1))
    };
    assert_none(
        "code that is commented out",
        &sources().iter().filter_map(dead).collect::<Vec<_>>(),
    );
}

/// What each crate uses of ours, from its manifest. Test-only dependencies are not part of the map.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut crates = BTreeMap::new();
    let folders = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    let names: BTreeSet<String> = folders
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    for folder in &folders {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let section = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
        let section = section.split("\n[").next().unwrap_or_default();
        let used = section
            .lines()
            .filter_map(|line| line.split('.').next().map(str::trim));
        let used = used
            .filter(|name| names.contains(*name))
            .map(str::to_owned)
            .collect();
        crates.insert(folder.file_name().unwrap().to_str().unwrap().to_owned(), used);
    }
    crates
}

#[test]
fn the_dependency_table_of_the_map_is_true() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut table = BTreeMap::new();
    for line in map.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let [_, name, _, uses, _] = cells.as_slice() {
            let uses = uses.split(',').map(|part| part.trim().trim_matches('`'));
            let uses = uses
                .filter(|part| !part.is_empty() && *part != "-")
                .map(str::to_owned)
                .collect();
            table.insert(name.trim_matches('`').to_owned(), uses);
        }
    }
    assert_eq!(table, dependencies());
}

#[test]
fn no_service_uses_another_service() {
    let services = ["router", "monitor"];
    for (name, uses) in dependencies() {
        if services.contains(&name.as_str()) {
            assert!(
                services.iter().all(|service| !uses.contains(*service)),
                "{name} uses {uses:?}"
            );
        }
    }
}

#[test]
fn domain_stands_alone_and_reads_no_clock() {
    assert!(dependencies()["domain"].is_empty());
    let pure = |(path, text): &(PathBuf, String)| {
        let inside = path.starts_with("crates/domain/src") && !path.ends_with("clock.rs");
        let impure = ["async fn", "tokio::", "Timestamp::now", "std::fs", "tracing::"];
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        (inside && impure.iter().any(|word| text.contains(word))).then(|| path.display().to_string())
    };
    assert_none(
        "domain files with I/O, time or logging",
        &sources().iter().filter_map(pure).collect::<Vec<_>>(),
    );
}
