//! The receivers file: whom alerts, events and customer notices are sent to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alerter::receivers::{InvalidReceivers, Receivers};
use anyhow::Context as _;
use delivery::exchange::Exchange;
use delivery::guard::{self, Guard};
use delivery::receiver::{Receiver, Settings as ReceiverSettings};
use delivery::tls::Tls;
use domain::diagnostic::Diagnostic;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::settings::Files;

/// What stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    /// Whom we may speak to.
    guard: guard::Settings,
    /// Certificates of authorities beyond the public ones, as PEM.
    ca_file: Option<PathBuf>,
    /// The receiver that is told when the ledger is gone, and of what another one does not take.
    emergency: Option<String>,
    /// The receiver that gets a sign of life every minute, such as a service that pages when it stays away.
    watchdog: Option<String>,
    /// The receivers.
    receivers: Vec<Spanned<ReceiverSettings>>,
}

/// The receivers of the file that `files` names in `folder`; none without such a file.
///
/// # Errors
/// When the file cannot be read, or something in it is wrong, a secret that is missing included; with every place.
pub(crate) fn load(folder: &Path, files: &Files) -> anyhow::Result<Receivers> {
    let path = folder.join(&files.receivers);
    if !path.exists() {
        return Ok(Receivers::default());
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
    parse((&name, &text)).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })
}

/// The names of the receivers of that file, whose secrets are not read: for a process that sends nothing.
///
/// # Errors
/// When the file is there and cannot be read.
pub(crate) fn names(folder: &Path, files: &Files) -> anyhow::Result<Vec<String>> {
    let path = folder.join(&files.receivers);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
    let document = document((&name, &text)).map_err(|wrong| anyhow::anyhow!(wrong))?;
    Ok(document
        .receivers
        .iter()
        .map(|of| of.value.name.clone())
        .collect())
}

/// What stands in the file called `name`.
fn document((name, text): (&str, &str)) -> Result<Document, Diagnostic> {
    if text.trim().is_empty() {
        return Ok(Document::default());
    }
    let document = serde_saphyr::from_str::<Option<Document>>(text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        Diagnostic {
            file: name.into(),
            line: u32::try_from(line).unwrap_or_default(),
            column: u32::try_from(column).unwrap_or_default(),
            field: String::new(),
            message: error.without_snippet().to_string(),
        }
    })?;
    Ok(document.unwrap_or_default())
}

fn parse((name, text): (&str, &str)) -> Result<Receivers, Vec<Diagnostic>> {
    let problem = |(line, column): (u64, u64), field: String, message: String| Diagnostic {
        file: name.into(),
        line: u32::try_from(line).unwrap_or_default(),
        column: u32::try_from(column).unwrap_or_default(),
        field,
        message,
    };
    let document = document((name, text)).map_err(|wrong| vec![wrong])?;
    let mut wrong = Vec::new();
    let mut receivers = Vec::new();
    for (number, settings) in document.receivers.iter().enumerate() {
        match Receiver::open(&settings.value) {
            Ok(receiver) => receivers.push(receiver),
            Err(error) => {
                let at = settings.referenced;
                wrong.push(problem(
                    (at.line(), at.column()),
                    format!("receivers[{number}]"),
                    chain(&error),
                ));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let tls = Tls::new(document.ca_file.as_deref())
        .map_err(|error| vec![problem((0, 0), "ca_file".to_owned(), chain(&error))])?;
    let exchange = Arc::new(Exchange::new(Guard::new(document.guard), tls));
    let lines: Vec<(String, (u64, u64))> = document
        .receivers
        .iter()
        .map(|of| {
            (
                of.value.name.clone(),
                (of.referenced.line(), of.referenced.column()),
            )
        })
        .collect();
    let together = Receivers::new(receivers, &exchange, document.emergency)
        .and_then(|receivers| receivers.watched_by(document.watchdog));
    together.map_err(|error| {
        let (receiver, field) = match &error {
            InvalidReceivers::Twice(name) => (Some(name), "receivers"),
            InvalidReceivers::NoFallback { receiver, .. } | InvalidReceivers::OwnFallback(receiver) => {
                (Some(receiver), "receivers.fallback")
            }
            InvalidReceivers::NoEmergency(_) => (None, "emergency"),
            InvalidReceivers::NoWatchdog(_) => (None, "watchdog"),
        };
        // Of two of one name the second is wrong.
        let found = lines.iter().rev().find(|(name, _)| Some(name) == receiver);
        let place = found.map_or((0, 0), |(_, place)| *place);
        vec![problem(place, field.to_owned(), error.to_string())]
    })
}

/// An error with its causes, which say what is wrong with a file or a key.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let wrong = parse(("receivers.yaml", text)).err().unwrap_or_default();
        wrong
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn an_empty_file_has_no_receivers() {
        assert!(parse(("receivers.yaml", "")).unwrap().is_empty());
        assert!(
            parse(("receivers.yaml", "# nothing yet\nreceivers: []\n"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn receivers_know_who_stands_in_for_them() {
        let text = "
emergency: duty
receivers:
  - {name: chat, to: {slack: {url: 'https://hooks.slack.com/services/x'}}}
  - {name: robot, fallback: chat, to: {slack: {url: 'https://hooks.slack.com/services/y'}}}
  - {name: duty, to: {pagerduty: {routing_keys: [r0]}}}
";
        let receivers = parse(("receivers.yaml", text)).unwrap();
        assert_eq!(receivers.stand_in("robot"), Some("chat"));
        assert_eq!(receivers.stand_in("chat"), Some("duty"));
        assert_eq!(receivers.stand_in("duty"), None);
        assert!(receivers.emergency().is_some());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_field_and_without_a_secret() {
        let chat = "  - {name: chat, to: {slack: {url: 'https://hooks.slack.com/s3cret'}}}\n";
        for (text, expected) in [
            (
                "receivers:\n  - {name: a, to: {slack: {url: s3cret}}}\n".to_owned(),
                "receivers.yaml:2:5: receivers[0]: `url` of receiver `a` is not an address",
            ),
            (
                "receivers:\n  - {name: a, to: {slack: {url: {file: /nowhere}}}}\n".to_owned(),
                "/nowhere",
            ),
            (
                "receivers:\n  - {name: a, too: 1}\n".to_owned(),
                "receivers.yaml:2:",
            ),
            (
                format!("receivers:\n{chat}{chat}"),
                "receivers.yaml:3:5: receivers: there are two",
            ),
            (
                format!("receivers:\n{}", chat.replace("to:", "fallback: sms, to:")),
                "receivers.yaml:2:5: receivers.fallback: receiver `chat` falls back to `sms`",
            ),
            (
                format!("emergency: duty\nreceivers:\n{chat}"),
                "emergency: the emergency receiver `duty`",
            ),
            (
                "guard: {allow_networks: [10.0.0.0/33]}\n".to_owned(),
                "10.0.0.0/33",
            ),
        ] {
            let told = wrong(&text);
            assert!(told.contains(expected), "{text}\n{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
