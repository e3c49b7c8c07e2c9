//! Receivers and deliveries by hand.

use std::io::Write;
use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Plane, show};

/// How long a test waits for what becomes of it: a little longer than an exchange can take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What there is to do with receivers.
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiverCommand {
    /// List them, with what waits for each and what was given up
    List,
    /// Send a message to one and say what becomes of it
    Test {
        /// Its name
        name: String,
    },
}

/// What there is to do with deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// List them, the latest first
    List {
        /// Only those in a state: ready, leased, done, dead, superseded
        #[arg(long)]
        state: Option<String>,
        /// Only those to a receiver
        #[arg(long)]
        receiver: Option<String>,
    },
    /// Send a dead letter again
    Replay {
        /// Its id, from `list`
        id: Uuid,
    },
}

impl Plane {
    pub(super) async fn receiver(
        &self,
        command: ReceiverCommand,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let name = match command {
            ReceiverCommand::List => {
                for receiver in show::list(&self.get("/receivers").await?) {
                    let configured = if receiver["configured"] == true {
                        ""
                    } else {
                        "  not configured"
                    };
                    writeln!(
                        out,
                        "{:<24} {:>6} waiting, the oldest for {} s, {} dead{configured}",
                        show::text(receiver, "name"),
                        receiver["waiting"],
                        receiver["oldest_secs"],
                        receiver["dead"]
                    )?;
                }
                return Ok(());
            }
            ReceiverCommand::Test { name } => name,
        };
        let request = self.request(Method::POST, &format!("/receivers/{name}/test"));
        let begun = self.send(request).await?;
        let path = format!("/deliveries?order_key={}", show::text(&begun, "order_key"));
        let mut looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        loop {
            let found = self.get(&path).await?;
            let delivery = show::list(&found).next().cloned().unwrap_or(Value::Null);
            let tried = delivery
                .get("attempts")
                .and_then(Value::as_u64)
                .unwrap_or_default()
                > 0;
            match show::text(&delivery, "state") {
                "done" => return Ok(writeln!(out, "{name} has it")?),
                "dead" | "ready" if tried => anyhow::bail!("{name}: {}", show::text(&delivery, "last_error")),
                _ => {}
            }
            looks = looks.saturating_sub(1);
            anyhow::ensure!(
                looks > 0,
                "{name}: nothing came of it yet; is an alerter running?"
            );
            sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn delivery(
        &self,
        command: DeliveryCommand,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        match command {
            DeliveryCommand::List { state, receiver } => {
                let asked = [("state", state), ("receiver", receiver)];
                let asked: Vec<_> = asked
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect();
                let found = self
                    .send(self.request(Method::GET, "/deliveries").query(&asked))
                    .await?;
                for delivery in show::list(&found) {
                    writeln!(
                        out,
                        "{}  {:<10} {:<16} {:<6} {} tries  {}",
                        show::text(delivery, "id"),
                        show::text(delivery, "state"),
                        show::text(delivery, "receiver"),
                        show::text(delivery, "class"),
                        delivery["attempts"],
                        show::text(delivery, "last_error")
                    )?;
                }
            }
            DeliveryCommand::Replay { id } => {
                let request = self.request(Method::POST, &format!("/deliveries/{id}/replay"));
                self.send(request).await?;
                writeln!(out, "{id} is sent again")?;
            }
        }
        Ok(())
    }
}
