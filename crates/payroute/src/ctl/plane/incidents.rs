//! Incidents by hand.

use std::io::Write;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::plans::PlanCommand;
use super::{Plane, show};

/// What there is to do with incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// List them, the latest first
    List {
        /// Words that must all be in it
        words: Vec<String>,
        /// Only those that this rule found
        #[arg(long)]
        rule: Option<String>,
        /// Only those that are not over
        #[arg(long)]
        open: bool,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// Show one with its timeline
    Show {
        /// Its id, from `list`
        id: Uuid,
    },
    /// Take one on: its pages are not repeated
    Ack {
        /// Its id
        id: Uuid,
    },
    /// Write something into the timeline of one
    Note {
        /// Its id
        id: Uuid,
        /// What to remember
        text: String,
    },
    /// Write down what one that is over came from
    Close {
        /// Its id
        id: Uuid,
        /// Why it happened
        #[arg(long)]
        cause: String,
        /// What was learned
        #[arg(long, default_value = "")]
        lesson: String,
        /// A word to find it by; may be given several times
        #[arg(long = "tag")]
        tags: Vec<String>,
    },
    /// Print one as a Markdown page
    Export {
        /// Its id
        id: Uuid,
    },
    /// List past ones like it, the most similar first
    Similar {
        /// Its id
        id: Uuid,
    },
    /// What runbooks do about it.
    #[command(flatten)]
    Plan(PlanCommand),
}

impl Plane {
    pub(super) async fn incident(
        &self,
        command: IncidentCommand,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        match command {
            IncidentCommand::List {
                words,
                rule,
                open,
                limit,
            } => {
                let request = self.request(Method::GET, "/incidents").query(&[
                    ("q", words.join(" ")),
                    ("open", open.to_string()),
                    ("limit", limit.to_string()),
                ]);
                let rule = rule.map(|rule| ("rule", rule));
                incidents(out, &self.send(request.query(&rule.as_slice())).await?)?;
            }
            IncidentCommand::Show { id } => whole(out, &self.get(&format!("/incidents/{id}")).await?)?,
            IncidentCommand::Plan(command) => self.plan(command, out).await?,
            IncidentCommand::Similar { id } => {
                incidents(out, &self.get(&format!("/incidents/{id}/similar")).await?)?;
            }
            IncidentCommand::Export { id } => {
                let request = self.request(Method::GET, &format!("/incidents/{id}/export"));
                write!(out, "{}", self.page(request).await?)?;
            }
            IncidentCommand::Ack { id } => {
                self.deed(id, "acknowledge", &Value::Null).await?;
                writeln!(out, "{id} is yours")?;
            }
            IncidentCommand::Note { id, text } => {
                self.deed(id, "notes", &json!({ "text": text })).await?;
                writeln!(out, "noted")?;
            }
            IncidentCommand::Close {
                id,
                cause,
                lesson,
                tags,
            } => {
                let body = json!({ "cause": cause, "lesson": lesson, "tags": tags });
                self.deed(id, "close", &body).await?;
                writeln!(out, "{id} is closed")?;
            }
        }
        Ok(())
    }

    async fn deed(&self, incident: Uuid, deed: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, &format!("/incidents/{incident}/{deed}"));
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        self.send(request).await
    }

    /// An answer that is text, not JSON.
    async fn page(&self, request: reqwest::RequestBuilder) -> anyhow::Result<String> {
        let answer = self.answer(request).await?;
        let fine = answer.status().is_success();
        let text = answer.text().await.context("the answer breaks off")?;
        if fine {
            return Ok(text);
        }
        Err(show::problem(
            &serde_json::from_str(&text).context("the answer is not JSON")?,
        ))
    }
}

fn incidents(out: &mut impl Write, answer: &Value) -> std::io::Result<()> {
    for incident in show::list(answer) {
        let how = incident["resolution"].as_str().unwrap_or("open");
        writeln!(
            out,
            "{}  {}  {:<9} {how:<12} {}",
            show::text(incident, "id"),
            show::text(incident, "opened_at"),
            show::text(incident, "severity"),
            show::text(incident, "title")
        )?;
    }
    Ok(())
}

fn whole(out: &mut impl Write, answer: &Value) -> std::io::Result<()> {
    let incident = &answer["incident"];
    writeln!(
        out,
        "{} ({}, {})",
        show::text(incident, "title"),
        show::text(incident, "rule"),
        show::text(incident, "severity")
    )?;
    let (from, to) = (
        show::text(incident, "opened_at"),
        show::text(incident, "resolved_at"),
    );
    writeln!(out, "{from} to {to}  {}", show::labels(&incident["labels"]))?;
    for (name, field) in [
        ("taken on by", "acknowledged_by"),
        ("closed by", "closed_by"),
        ("cause", "cause"),
        ("lesson", "lesson"),
    ] {
        if let Some(said) = incident[field].as_str().filter(|said| !said.is_empty()) {
            writeln!(out, "{name}: {said}")?;
        }
    }
    for line in show::list(&answer["timeline"]) {
        let actor = line["actor"].as_str();
        let actor = actor.map_or_else(String::new, |actor| format!("{actor}: "));
        writeln!(
            out,
            "  {}  {:<14} {actor}{}",
            show::text(line, "at"),
            show::text(line, "kind"),
            show::text(line, "text")
        )?;
    }
    Ok(())
}
