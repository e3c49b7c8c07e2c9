//! What runbooks do about incidents, by hand.

use std::io::{self, Write};

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Plane, show};

/// What there is to do about runbooks.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Show what runbooks offer, have done and have not
    Plans {
        /// The incident
        id: String,
    },
    /// Let a runbook go that is offered
    Apply {
        /// The incident
        id: String,
        /// The runbook
        runbook: String,
    },
    /// Take back what a runbook has done
    Revert {
        /// The incident
        id: String,
        /// The runbook
        runbook: String,
    },
}

impl Plane {
    /// Carries `command` out.
    pub(super) async fn plan(&self, command: PlanCommand, out: &mut impl Write) -> anyhow::Result<()> {
        let path = match command {
            PlanCommand::Plans { id } => {
                plans(out, &self.get(&format!("/incidents/{id}/plans")).await?)?;
                return Ok(());
            }
            PlanCommand::Apply { id, runbook } => format!("/incidents/{id}/plans/{runbook}/apply"),
            PlanCommand::Revert { id, runbook } => format!("/incidents/{id}/plans/{runbook}/revert"),
        };
        let answer = self.send(self.request(Method::POST, &path)).await?;
        plans(out, &json!([answer]))?;
        Ok(())
    }
}

fn plans(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    for plan in show::list(answer) {
        writeln!(
            out,
            "{} {}",
            show::text(plan, "runbook"),
            show::text(plan, "state")
        )?;
        for step in show::list(&plan["steps"]) {
            let (state, text) = (show::text(step, "state"), show::text(step, "text"));
            match step["ends_at"].as_str() {
                Some(end) => writeln!(out, "  {state:<9} {text}, until {end}")?,
                None => writeln!(out, "  {state:<9} {text}")?,
            }
        }
    }
    Ok(())
}
