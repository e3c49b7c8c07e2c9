//! `payroute ctl compensation`: attempts whose money is not settled.

use std::io::Write;

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::json;

use super::{Plane, show, word};

/// What there is to do about open attempts.
#[derive(Debug, Subcommand)]
pub(crate) enum CompensationCommand {
    /// List them, the oldest first
    List {
        /// Only this merchant's
        #[arg(long)]
        merchant: Option<String>,
        /// Only those that need a person
        #[arg(long)]
        review: bool,
    },
    /// Show one
    Show {
        /// Whose attempt it is
        merchant: String,
        /// The attempt
        attempt: String,
    },
    /// Say what became of one
    Resolve {
        /// Whose attempt it is
        merchant: String,
        /// The attempt
        attempt: String,
        /// What became of it
        #[arg(value_enum)]
        resolution: Decision,
        /// How that is known
        #[arg(long)]
        reason: String,
    },
}

/// What can have become of an attempt.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// The customer was charged.
    Succeeded,
    /// It was refused.
    Declined,
    /// It was never acted on.
    NotProcessed,
    /// It was taken back.
    Reversed,
    /// Its order was closed unpaid.
    Closed,
    /// The customer has the money back.
    Refunded,
}

impl Plane {
    /// Carries `command` out.
    pub(super) async fn compensation(
        &self,
        command: CompensationCommand,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        match command {
            CompensationCommand::List { merchant, review } => {
                let whose = merchant.map(|merchant| ("merchant", merchant));
                // Both states that wait for a person are asked for: the API takes one at a time.
                let states = if review {
                    vec![Some("needs_review"), Some("refund_needs_review")]
                } else {
                    vec![None]
                };
                for state in states {
                    let mut request = self
                        .request(Method::GET, "/compensation")
                        .query(&whose.as_slice());
                    if let Some(state) = state {
                        request = request.query(&[("state", state)]);
                    }
                    show::cases(out, &self.send(request).await?)?;
                }
            }
            CompensationCommand::Show { merchant, attempt } => {
                let case = self.get(&format!("/compensation/{merchant}/{attempt}")).await?;
                show::cases(out, &json!([case]))?;
            }
            CompensationCommand::Resolve {
                merchant,
                attempt,
                resolution,
                reason,
            } => {
                let path = format!("/compensation/{merchant}/{attempt}/resolve");
                let body = json!({ "resolution": word(&resolution), "reason": reason });
                let answer = self.send(self.request(Method::POST, &path).json(&body)).await?;
                writeln!(out, "{attempt} is {}", show::text(&answer, "state"))?;
            }
        }
        Ok(())
    }
}
