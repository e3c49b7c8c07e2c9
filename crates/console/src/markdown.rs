//! An incident as a page that people keep: Markdown.

use std::fmt::Write as _;

use ledger::alert::{Entry, Incident};

/// The page of `incident`.
pub(crate) fn page(incident: &Incident, timeline: &[Entry]) -> String {
    let mut page = format!("# {}\n\n", plain(&incident.title));
    let mut row = |name: &str, value: &str| {
        // Writing to a text never fails.
        let _ = writeln!(page, "- **{name}**: {}", plain(value));
    };
    row("Rule", &incident.rule);
    row("Severity", &incident.severity);
    row("Began", &incident.opened_at.to_string());
    match &incident.resolved {
        Some((at, how)) => row("Over", &format!("{at} ({how})")),
        None => row("Over", "not yet"),
    }
    if let Some((at, by)) = &incident.acknowledged {
        row("Acknowledged", &format!("{at} by {by}"));
    }
    if let Some((at, by)) = &incident.closed {
        row("Closed", &format!("{at} by {by}"));
    }
    let labels: Vec<String> = incident
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    row("About", &labels.join(", "));
    row("Tags", &incident.tags.join(", "));
    page.push_str("\n## Impact\n\n");
    for field in ["attempts", "failed", "unknown"] {
        if let Some(count) = incident.impact.get(field) {
            let _ = writeln!(page, "- {field}: {count}");
        }
    }
    for part in ["reasons", "issuers", "methods", "channels"] {
        let parts = incident.impact.get(part).and_then(serde_json::Value::as_array);
        for one in parts.into_iter().flatten() {
            let name = one
                .get("name")
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default();
            let failed = one.get("failed").and_then(serde_json::Value::as_u64).unwrap_or(0);
            let _ = writeln!(page, "- {part}: {} ({failed})", plain(name));
        }
    }
    for (heading, text) in [("Cause", &incident.cause), ("Lesson", &incident.lesson)] {
        let _ = write!(
            page,
            "\n## {heading}\n\n{}\n",
            if text.is_empty() {
                "not written down yet"
            } else {
                text
            }
        );
    }
    page.push_str("\n## Timeline\n\n| when | what | who |\n|---|---|---|\n");
    for entry in timeline {
        let actor = entry.actor.as_ref().map_or_else(String::new, ToString::to_string);
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            entry.at,
            plain(&entry.text),
            plain(&actor)
        );
    }
    page
}

/// A text that stays on its line and begins no markup: names come from callers.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => {
                plain.push('\\');
                plain.push(character);
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_markup() {
        assert_eq!(plain("a|b\n<img>"), "a\\|b \\<img\\>");
    }
}
