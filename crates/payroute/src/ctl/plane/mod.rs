//! The control plane by hand: what is in force, and changes to it, over REST.

mod alerting;
mod compensation;
mod deliveries;
mod incidents;
mod plans;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use alerting::{AlertCommand, RulesCommand, SilenceCommand};
use compensation::CompensationCommand;
use deliveries::{DeliveryCommand, ReceiverCommand};
use incidents::IncidentCommand;

/// What there is to do with the control plane.
#[derive(Debug, Subcommand)]
pub(crate) enum PlaneCommand {
    /// List the channels in force
    Channels,
    /// Replace the channel document by a file
    PutChannels {
        /// The file, as `channels.yaml`
        file: PathBuf,
    },
    /// Set the state of a merchant account at a channel
    Account {
        /// The channel
        channel: String,
        /// The account there
        account: String,
        /// `document` leaves it to the channel document again
        #[arg(value_enum)]
        state: AccountState,
    },
    /// List the stored policies
    Policies,
    /// Print a stored policy
    ShowPolicy {
        /// Its version
        version: u64,
    },
    /// Say whether a policy could be activated, without storing it
    CheckPolicy {
        /// The file, as `policy.yaml`
        file: PathBuf,
    },
    /// Store a policy; it is not active until it is activated
    AddPolicy {
        /// The file, as `policy.yaml`
        file: PathBuf,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Show what a stored policy changes
    DiffPolicy {
        /// Its version
        version: u64,
        /// The version to compare with; not given: the active one
        #[arg(long)]
        against: Option<u64>,
    },
    /// Make a stored policy the active one
    ActivatePolicy {
        /// Its version
        version: u64,
    },
    /// Make the policy active that was before the present one
    RollBackPolicy,
    /// List the suspensions that were decided while running
    Suspensions,
    /// Take out a channel, issuer, region or method, or what they have in common
    Suspend {
        /// Only on this channel
        #[arg(long)]
        channel: Option<String>,
        /// Only payments of this issuer
        #[arg(long)]
        issuer: Option<String>,
        /// Only payments of this region
        #[arg(long)]
        region: Option<String>,
        /// Only payments by this method
        #[arg(long)]
        method: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// How long, in seconds; not given: until it is lifted
        #[arg(long)]
        for_secs: Option<u32>,
    },
    /// End a suspension before its time
    Lift {
        /// Its number, from `suspensions`
        id: u64,
    },
    /// List the breakers
    Breakers,
    /// Decide about a channel's breaker, for a time
    Force {
        /// The channel
        channel: String,
        /// What is decided
        #[arg(value_enum)]
        forced: Forced,
        /// Why
        #[arg(long)]
        reason: String,
        /// How long, in seconds, at most a day
        #[arg(long, default_value_t = 3_600)]
        for_secs: u32,
    },
    /// Leave a channel's breaker to itself again
    Release {
        /// The channel
        channel: String,
    },
    /// List the limits in force
    Limits,
    /// Set the bound of a limit
    Limit {
        /// The limit
        id: String,
        /// The most that may lie in its window
        most: i64,
    },
    /// Leave a limit to the channel document again
    ClearLimit {
        /// The limit
        id: String,
    },
    /// List the codes that providers answered with and the catalogue does not have
    UnmappedCodes {
        /// How many hours to look back, 1 to 168
        #[arg(long, default_value_t = 24)]
        hours: u32,
    },
    /// Look at attempts whose money is not settled, and settle one by hand
    Compensation {
        /// What about them
        #[command(subcommand)]
        command: CompensationCommand,
    },
    /// Look at the receivers of alerts, events and notices, or try one
    Receiver {
        /// What about them.
        #[command(subcommand)]
        command: ReceiverCommand,
    },
    /// Look at what is on its way to receivers, or send a dead letter again
    Delivery {
        /// What about it.
        #[command(subcommand)]
        command: DeliveryCommand,
    },
    /// Look at the alerts that are not at rest
    Alert {
        /// What about them.
        #[command(subcommand)]
        command: AlertCommand,
    },
    /// Look at incidents and what runbooks do about them, take one on, write into it, close it
    Incident {
        /// What about them.
        #[command(subcommand)]
        command: IncidentCommand,
    },
    /// Look at silences, make one, end one
    Silence {
        /// What about them.
        #[command(subcommand)]
        command: SilenceCommand,
    },
    /// Look at the alert rules, check others, put them into force
    Rules {
        /// What about them.
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// List who changed what, the latest first
    Audit {
        /// Look through the whole log for tampering instead
        #[arg(long)]
        verify: bool,
    },
}

/// The state of an account.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AccountState {
    /// Takes payments.
    Active,
    /// Takes no new payments.
    Draining,
    /// Takes none.
    Suspended,
    /// What the channel document says.
    Document,
}

/// What can be decided about a breaker.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Forced {
    /// Never selected, in panic either.
    Out,
    /// Selected as if it were healthy.
    In,
    /// Goes on, and keeps no payment away.
    ObserveOnly,
}

/// The control plane at an address.
pub(super) struct Plane {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Plane {
    /// The control plane at `base`, such as `http://127.0.0.1:7436`, for whoever holds `token`.
    pub(super) fn new(base: &str, token: Option<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            base: format!("{}/api/v1", base.trim_end_matches('/')),
            token,
            http,
        })
    }

    /// Carries `command` out, and prints what came of it.
    ///
    /// # Errors
    /// When the control plane cannot be reached or refuses.
    pub(super) async fn run(&self, command: PlaneCommand, out: &mut impl Write) -> anyhow::Result<()> {
        match command {
            PlaneCommand::Channels => show::channels(out, &self.get("/channels").await?)?,
            PlaneCommand::Policies => show::policies(out, &self.get("/policies").await?)?,
            PlaneCommand::ShowPolicy { version } => {
                let policy = self.get(&format!("/policies/{version}")).await?;
                write!(out, "{}", show::text(&policy, "text"))?;
            }
            PlaneCommand::DiffPolicy { version, against } => {
                let against = against.map_or_else(String::new, |version| format!("?against={version}"));
                let diff = self.get(&format!("/policies/{version}/diff{against}")).await?;
                write!(out, "{}", show::text(&diff, "unified"))?;
            }
            PlaneCommand::Suspensions => show::suspensions(out, &self.get("/suspensions").await?)?,
            PlaneCommand::Breakers => show::breakers(out, &self.get("/breakers").await?)?,
            PlaneCommand::Limits => show::limits(out, &self.get("/limits").await?)?,
            PlaneCommand::UnmappedCodes { hours } => {
                let codes = self.get(&format!("/codes/unmapped?hours={hours}")).await?;
                show::unmapped_codes(out, &codes)?;
            }
            PlaneCommand::Compensation { command } => self.compensation(command, out).await?,
            PlaneCommand::Audit { verify: false } => show::audit(out, &self.get("/audit").await?)?,
            PlaneCommand::Audit { verify: true } => show::verified(out, &self.get("/audit/verify").await?)?,
            PlaneCommand::Receiver { command } => self.receiver(command, out).await?,
            PlaneCommand::Delivery { command } => self.delivery(command, out).await?,
            PlaneCommand::Alert { command } => self.alert(command, out).await?,
            PlaneCommand::Incident { command } => self.incident(command, out).await?,
            PlaneCommand::Silence { command } => self.silence(command, out).await?,
            PlaneCommand::Rules { command } => self.rules(command, out).await?,
            change => show::changed(out, &self.change(change).await?)?,
        }
        Ok(())
    }

    async fn change(&self, command: PlaneCommand) -> anyhow::Result<Value> {
        let (method, path, body) = match command {
            PlaneCommand::PutChannels { file } => {
                return self.document(Method::PUT, "/documents/channels", &file).await;
            }
            PlaneCommand::CheckPolicy { file } => {
                return self.document(Method::POST, "/policies/validate", &file).await;
            }
            PlaneCommand::AddPolicy { file, note } => {
                let request = self.request(Method::POST, "/policies").query(&[("note", note)]);
                return self.send(request.body(read(&file)?)).await;
            }
            PlaneCommand::ActivatePolicy { version } => {
                (Method::POST, format!("/policies/{version}/activate"), Value::Null)
            }
            PlaneCommand::RollBackPolicy => (Method::POST, "/policies/rollback".to_owned(), Value::Null),
            PlaneCommand::Account {
                channel,
                account,
                state,
            } => account_change(&channel, &account, state),
            PlaneCommand::Suspend {
                channel,
                issuer,
                region,
                method,
                reason,
                for_secs,
            } => {
                let scope = json!({"channel": channel, "issuer": issuer, "region": region, "method": method});
                let body = json!({"scope": scope, "reason": reason, "for_secs": for_secs});
                (Method::POST, "/suspensions".to_owned(), body)
            }
            PlaneCommand::Lift { id } => (Method::DELETE, format!("/suspensions/{id}"), Value::Null),
            PlaneCommand::Force {
                channel,
                forced,
                reason,
                for_secs,
            } => {
                let body = json!({"forced": word(&forced), "reason": reason, "for_secs": for_secs});
                (Method::PUT, format!("/breakers/{channel}"), body)
            }
            PlaneCommand::Release { channel } => {
                (Method::DELETE, format!("/breakers/{channel}"), Value::Null)
            }
            PlaneCommand::Limit { id, most } => (Method::PUT, format!("/limits/{id}"), json!({"most": most})),
            PlaneCommand::ClearLimit { id } => (Method::DELETE, format!("/limits/{id}"), Value::Null),
            other => anyhow::bail!("{other:?} changes nothing"),
        };
        let request = self.request(method, &path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        self.send(request).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    async fn document(&self, method: Method, path: &str, file: &Path) -> anyhow::Result<Value> {
        self.send(self.request(method, path).body(read(file)?)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let unreachable = || format!("no control plane answers at {}", self.base);
        request.send().await.with_context(unreachable)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = self.answer(request).await?;
        let fine = answer.status().is_success();
        let body: Value = answer.json().await.context("the answer is not JSON")?;
        if fine { Ok(body) } else { Err(show::problem(&body)) }
    }
}

fn account_change(channel: &str, account: &str, state: AccountState) -> (Method, String, Value) {
    let path = format!("/channels/{channel}/accounts/{account}");
    match state {
        AccountState::Document => (Method::DELETE, path, Value::Null),
        state => (Method::PUT, path, json!({"state": word(&state)})),
    }
}

/// The word that stands for `value` on the command line and on the wire.
fn word(value: &impl ValueEnum) -> String {
    let word = value.to_possible_value();
    word.map_or_else(String::new, |word| word.get_name().to_owned())
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
