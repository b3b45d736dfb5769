//! `docs/PROTOCOL.md` is normative: where it names numbers, they are ours.

mod common;

use proto::{CloseCode, DEFAULT_PORT, SERVICE_TYPE, VERSIONS};

const TEXT: &str = include_str!("../../docs/PROTOCOL.md");

/// The rows of the table under the heading that starts with `heading`, split into cells.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let start = TEXT.find(heading).expect("the section");
    let section = &TEXT[start + heading.len()..];
    let section = &section[..section.find("\n## ").unwrap_or(section.len())];
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    section.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn every_close_code_is_listed_with_its_number_and_whether_to_dial_again() {
    let listed: Vec<(u16, String)> = rows("## 11. Close codes")
        .iter()
        .filter_map(|row| Some((row[0].parse().ok()?, row[1].to_owned())))
        .collect();
    let ours: Vec<(u16, String)> = CloseCode::ALL
        .iter()
        .map(|code| {
            let again = if code.worth_retrying() { " ↻" } else { "" };
            (code.number(), format!("{code:?}{again}"))
        })
        .collect();
    assert_eq!(listed, ours);
}

#[test]
fn every_message_has_its_heading() {
    for (file, message) in common::golden() {
        let number: u32 = file[..2].parse().expect("a number");
        let heading = format!("{number} {}", message.kind());
        let listed = TEXT
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .any(|line| line.split(", ").any(|part| part == heading));
        assert!(listed, "PROTOCOL.md has no heading '{heading}'");
    }
}

#[test]
fn port_version_and_service_are_those_of_the_text() {
    assert!(TEXT.contains(&format!("port **{DEFAULT_PORT}**")));
    assert!(TEXT.contains(&format!("This page is version **{}**", VERSIONS.end())));
    assert!(TEXT.contains(&format!("`{SERVICE_TYPE}`")));
}
