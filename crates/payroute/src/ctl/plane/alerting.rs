//! Alerts, silences and alert rules by hand.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use reqwest::header::IF_MATCH;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Plane, read, show};

/// What there is to do with alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List those that are not at rest
    List,
}

/// What there is to do with silences.
#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// List them, the latest first
    List,
    /// Ask not to be told of some alerts for a time; they are evaluated and kept all the same
    Create {
        /// Which alerts, as `channel=icbc_direct`, `channel=wechat_*,alipay` or `channel!=alipay`; all must fit
        #[arg(required = true, value_parser = matcher)]
        matchers: Vec<Value>,
        /// Why
        #[arg(long)]
        reason: String,
        /// How long, in seconds, at most 31 days
        #[arg(long, default_value_t = 3_600)]
        for_secs: u32,
        /// When it begins, as `2026-03-02T23:00:00+08:00`; not given: at once
        #[arg(long)]
        from: Option<String>,
    },
    /// End one before its time
    End {
        /// Its id, from `list`
        id: Uuid,
    },
}

/// What there is to do with alert rules.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Print those in force, or of a version
    Show {
        /// The version
        version: Option<u64>,
    },
    /// Put a file into force
    Set {
        /// The file, as `alerts.yaml`
        file: PathBuf,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
        /// Only if this version is in force, 0 for those before the first; not given: whatever is
        #[arg(long)]
        replaces: Option<u64>,
    },
    /// Say whether a file could be put into force
    Check {
        /// The file, as `alerts.yaml`
        file: PathBuf,
    },
}

impl Plane {
    pub(super) async fn alert(&self, command: AlertCommand, out: &mut impl Write) -> anyhow::Result<()> {
        let AlertCommand::List = command;
        for alert in show::list(&self.get("/alerts").await?) {
            writeln!(
                out,
                "{:<12} {:<24} since {}  {}",
                show::text(alert, "state"),
                show::text(alert, "rule"),
                show::text(alert, "since"),
                show::labels(alert.pointer("/detail/labels").unwrap_or(&Value::Null))
            )?;
        }
        Ok(())
    }

    pub(super) async fn silence(&self, command: SilenceCommand, out: &mut impl Write) -> anyhow::Result<()> {
        match command {
            SilenceCommand::List => {
                for silence in show::list(&self.get("/silences").await?) {
                    let matchers: Vec<String> = show::list(&silence["matchers"]).map(written).collect();
                    let ended = silence["ended_by"].as_str();
                    let ended = ended.map_or_else(String::new, |by| format!(", ended by {by}"));
                    writeln!(out, "{}  {}", show::text(silence, "id"), matchers.join(" "))?;
                    writeln!(
                        out,
                        "        {} to {}, {}: {}{ended}",
                        show::text(silence, "from"),
                        show::text(silence, "until"),
                        show::text(silence, "author"),
                        show::text(silence, "reason")
                    )?;
                }
            }
            SilenceCommand::Create {
                matchers,
                reason,
                for_secs,
                from,
            } => {
                let body =
                    json!({ "matchers": matchers, "reason": reason, "for_secs": for_secs, "from": from });
                let made = self
                    .send(self.request(Method::POST, "/silences").json(&body))
                    .await?;
                let (id, until) = (show::text(&made, "id"), show::text(&made, "until"));
                writeln!(out, "{id} until {until}")?;
            }
            SilenceCommand::End { id } => {
                self.send(self.request(Method::DELETE, &format!("/silences/{id}")))
                    .await?;
                writeln!(out, "{id} is ended")?;
            }
        }
        Ok(())
    }

    pub(super) async fn rules(&self, command: RulesCommand, out: &mut impl Write) -> anyhow::Result<()> {
        match command {
            RulesCommand::Show { version } => {
                let which = version.map(|version| ("version", version));
                let request = self.request(Method::GET, "/alert-rules").query(&which.as_slice());
                write!(out, "{}", show::text(&self.send(request).await?, "text"))?;
            }
            RulesCommand::Set { file, note, replaces } => {
                let request = self.request(Method::PUT, "/alert-rules").query(&[("note", note)]);
                let request = match replaces {
                    Some(version) => request.header(IF_MATCH, format!("\"{version}\"")),
                    None => request,
                };
                let done = self.send(request.body(read(&file)?)).await?;
                writeln!(
                    out,
                    "version {} is in force",
                    done.get("version").unwrap_or(&Value::Null)
                )?;
            }
            RulesCommand::Check { file } => {
                self.document(Method::POST, "/alert-rules/validate", &file)
                    .await?;
                writeln!(out, "{} is good", file.display())?;
            }
        }
        Ok(())
    }
}

/// What a matcher means on the wire.
fn matcher(text: &str) -> Result<Value, String> {
    let (left, patterns) = text
        .split_once('=')
        .ok_or("expected `label=value` or `label!=value`")?;
    let (label, negated) = match left.strip_suffix('!') {
        Some(label) => (label, true),
        None => (left, false),
    };
    let patterns: Vec<&str> = patterns.split(',').collect();
    if label.is_empty() || patterns.contains(&"") {
        return Err("expected a label and its values, separated by commas".to_owned());
    }
    Ok(json!({ "label": label, "patterns": patterns, "negated": negated }))
}

/// A matcher as it is written on the command line.
fn written(matcher: &Value) -> String {
    let sign = if matcher["negated"] == true { "!=" } else { "=" };
    let patterns: Vec<&str> = show::list(&matcher["patterns"])
        .filter_map(Value::as_str)
        .collect();
    format!("{}{sign}{}", show::text(matcher, "label"), patterns.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_is_shown_as_it_is_written() {
        for text in ["channel=icbc_direct", "channel=wechat_*,alipay", "severity!=info"] {
            assert_eq!(written(&matcher(text).unwrap()), text);
        }
        for text in ["channel", "=a", "channel=", "channel=a,"] {
            assert!(matcher(text).is_err(), "{text}");
        }
    }
}
