//! Checking the fields of a change: everything that is wrong is collected, each with its field.

use super::assemble::whole;
use super::{MAX_NOTE_BYTES, Refused};
use crate::channels::{Channels, not_a_label};
use crate::diagnostic::{Diagnostic, nearest};
use crate::limit;

/// The name under which diagnostics report a change's own fields.
pub(super) const CHANGE: &str = "change";

/// Refuses the change when something is wrong.
pub(super) fn refuse_any(wrong: Vec<Diagnostic>) -> Result<(), Refused> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Refused::Invalid(wrong))
    }
}

/// Refuses one more where `present` are as many as there may be.
pub(super) const fn refuse_more(what: &'static str, present: usize, most: usize) -> Result<(), Refused> {
    if present < most {
        Ok(())
    } else {
        Err(Refused::TooMany { what, most })
    }
}

/// A reason is given, and stays on one line.
pub(super) fn check_reason(reason: &str, wrong: &mut Vec<Diagnostic>) {
    if reason.trim().is_empty() {
        wrong.push(whole(CHANGE, "reason", "must not be empty".to_owned()));
    }
    check_line("reason", reason, wrong);
}

/// The text stays on one line, and is not too long for it.
pub(super) fn check_line(field: &str, text: &str, wrong: &mut Vec<Diagnostic>) {
    if text.len() > MAX_NOTE_BYTES {
        let message = format!(
            "is {} bytes long, at most {MAX_NOTE_BYTES} are allowed",
            text.len()
        );
        wrong.push(whole(CHANGE, field, message));
    }
    if text.chars().any(char::is_control) {
        wrong.push(whole(
            CHANGE,
            field,
            "must not hold control characters".to_owned(),
        ));
    }
}

/// The name is one of `known`.
pub(super) fn check_known(field: &str, name: &str, known: &[&str], wrong: &mut Vec<Diagnostic>) {
    if known.contains(&name) {
        return;
    }
    let message = match nearest(name, known.iter().copied()) {
        Some(near) => format!("`{name}` is not known, did you mean `{near}`?"),
        None => format!("`{name}` is not known"),
    };
    wrong.push(whole(CHANGE, field, message));
}

/// The name is one that can come over the wire.
pub(super) fn check_label(field: &str, name: &str, wrong: &mut Vec<Diagnostic>) {
    let problem = if name.is_empty() {
        Some("must not be empty".to_owned())
    } else {
        not_a_label(name)
    };
    wrong.extend(problem.map(|message| whole(CHANGE, field, message)));
}

/// A limit allows nothing at least.
pub(super) fn check_most(most: i64, wrong: &mut Vec<Diagnostic>) {
    if most < 0 {
        let message = format!("found {most}, expected a whole number from 0");
        wrong.push(whole(CHANGE, "limit.most", message));
    }
}

/// Everything in the rule is right by itself; whether it fits the others shows when they are assembled.
pub(super) fn check_rule(rule: &limit::Rule, channels: &Channels, wrong: &mut Vec<Diagnostic>) {
    check_label("limit.id", &rule.id, wrong);
    check_line("limit.id", &rule.id, wrong);
    check_most(rule.most, wrong);
    if let Some(channel) = &rule.scope.channel {
        check_known("limit.scope.channel", channel.as_str(), &channels.names(), wrong);
    }
    if let Some(method) = &rule.scope.method {
        check_known("limit.scope.method", method, &channels.methods(), wrong);
    }
    if let Some(issuer) = &rule.scope.issuer {
        check_label("limit.scope.issuer", issuer, wrong);
    }
    let repeats = |(place, dimension)| rule.per.iter().take(place).any(|earlier| earlier == dimension);
    if rule.per.iter().enumerate().any(repeats) {
        wrong.push(whole(CHANGE, "limit.per", "holds something twice".to_owned()));
    }
    if let Err(error) = limit::Limits::new(vec![rule.clone()]) {
        wrong.push(whole(CHANGE, "limit", error.to_string()));
    }
}
