//! Answers of the control plane in words, for a terminal.

use std::io::{self, Write};

use serde_json::Value;

/// The text of a field; a dash where there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("-")
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Labels, as `channel=a, provider=b`.
pub(super) fn labels(value: &Value) -> String {
    let labels = value.as_object().into_iter().flatten();
    let written = |(name, value): (&String, &Value)| format!("{name}={}", value.as_str().unwrap_or("-"));
    labels.map(written).collect::<Vec<_>>().join(", ")
}

/// A list of words, separated by commas.
fn words(value: &Value) -> String {
    let words: Vec<&str> = list(value).filter_map(Value::as_str).collect();
    words.join(", ")
}

pub(super) fn channels(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for channel in list(&answer["channels"]) {
        let (id, provider) = (text(channel, "id"), text(channel, "provider"));
        writeln!(out, "{id:<24} {provider:<16} {}", words(&channel["methods"]))?;
        for account in list(&channel["accounts"]) {
            writeln!(
                out,
                "  account {:<20} {}",
                text(account, "id"),
                text(account, "state")
            )?;
        }
    }
    Ok(())
}

pub(super) fn policies(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for version in list(&answer["versions"]) {
        let active = if version["version"] == answer["active"] {
            "active"
        } else {
            ""
        };
        let (at, author) = (text(version, "created_at"), text(version, "author"));
        writeln!(
            out,
            "{:>6}  {active:<6}  {at}  {author:<16} {}",
            version["version"],
            text(version, "note")
        )?;
    }
    Ok(())
}

pub(super) fn suspensions(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for suspension in list(answer) {
        let state = match (suspension["holds"].as_bool(), suspension["lifted_by"].as_str()) {
            (Some(true), _) => "holds".to_owned(),
            (_, Some(by)) => format!("lifted by {by}"),
            _ => "does not hold now".to_owned(),
        };
        let parts = ["channel", "issuer", "region", "method"];
        let named = |part: &&str| Some(format!("{part} {}", suspension["scope"].get(part)?.as_str()?));
        let scope: Vec<String> = parts.iter().filter_map(named).collect();
        let (from, until) = (text(suspension, "from"), text(suspension, "until"));
        writeln!(out, "{:>6}  {}: {state}", suspension["id"], scope.join(", "))?;
        let (author, reason) = (text(suspension, "author"), text(suspension, "reason"));
        writeln!(out, "        {from} to {until}, {author}: {reason}")?;
    }
    Ok(())
}

pub(super) fn breakers(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for breaker in list(answer) {
        let (channel, state) = (text(breaker, "channel"), text(breaker, "state"));
        writeln!(
            out,
            "{channel:<24} {state:<12} since {}  {}",
            text(breaker, "since"),
            text(breaker, "reason")
        )?;
        let forced = &breaker["forced"];
        if forced.is_object() {
            let (what, until) = (text(forced, "forced"), text(forced, "until"));
            writeln!(
                out,
                "  forced {what} until {until} by {}: {}",
                text(forced, "author"),
                text(forced, "reason")
            )?;
        }
    }
    Ok(())
}

pub(super) fn limits(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for limit in list(answer) {
        let rule = &limit["rule"];
        let by_hand = if limit["by_hand"] == true {
            "  set by hand"
        } else {
            ""
        };
        let (most, secs) = (&rule["most"], &rule["window_secs"]);
        writeln!(
            out,
            "{:<24} at most {most} of {} in {secs} s{by_hand}",
            text(rule, "id"),
            rule["measure"]
        )?;
    }
    Ok(())
}

pub(super) fn unmapped_codes(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for code in list(answer) {
        let (provider, name) = (text(code, "provider"), text(code, "code"));
        let (count, last) = (&code["count"], text(code, "last_at"));
        writeln!(
            out,
            "{provider:<16} {name:<28} {count:>8} times, last {last}  {}",
            text(code, "message")
        )?;
    }
    Ok(())
}

pub(super) fn audit(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for entry in list(answer) {
        let (at, actor, action) = (text(entry, "at"), text(entry, "actor"), text(entry, "action"));
        writeln!(out, "{:>6}  {at}  {actor:<16} {action}", entry["seq"])?;
    }
    Ok(())
}

pub(super) fn verified(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    if answer["whole"] == true {
        writeln!(
            out,
            "whole: {} entries, digest {}",
            answer["entries"],
            text(answer, "head")
        )
    } else {
        writeln!(
            out,
            "TAMPERED at entry {}: {}",
            answer["tampered_at"],
            text(answer, "problem")
        )
    }
}

/// One line for each case: whose, which, since when, what was asked.
pub(super) fn cases(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for case in list(answer) {
        let asked = case["asked"].as_str().unwrap_or("nothing");
        writeln!(
            out,
            "{} {}  payment {}  {}  {} since {}  asked: {asked} ({} in all)  next: {}",
            text(case, "merchant_id"),
            text(case, "attempt_id"),
            text(case, "payment_id"),
            text(case, "channel_id"),
            text(case, "state"),
            text(case, "since"),
            case["ask_count"],
            case["due_at"].as_str().unwrap_or("a person"),
        )?;
    }
    Ok(())
}

pub(super) fn changed(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    if answer["valid"] == true {
        return writeln!(out, "good");
    }
    if answer["id"].is_u64() {
        return writeln!(out, "suspension {}, by {}", answer["id"], text(answer, "author"));
    }
    if answer["version"].is_u64() {
        writeln!(out, "stored as version {}", answer["version"])?;
    }
    writeln!(out, "revision {}", answer["revision"])
}

/// The control plane's own words: every single thing that is wrong, with its place.
pub(super) fn problem(answer: &Value) -> anyhow::Error {
    let wrong = list(&answer["errors"]).map(|error| {
        let (file, field, message) = (text(error, "file"), text(error, "field"), text(error, "message"));
        let line = error["line"].as_u64().filter(|line| *line > 0);
        let place = line.map_or_else(String::new, |line| format!(":{line}:{}", error["column"]));
        format!("{file}{place}: {field}: {message}")
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() {
        anyhow::anyhow!("{}: {}", text(answer, "title"), text(answer, "detail"))
    } else {
        anyhow::anyhow!("{}", wrong.join("\n"))
    }
}
