//! From the outcome that crosses a rule's line to the page on the wire.
//!
//! An embedded Payroute of one channel for each page, so that every page is an incident of its own, and a receiver on
//! loopback. What is measured begins when the last outcome that the rule needs is reported, and ends when the receiver
//! has read the page of that channel.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::alert::Rules;
use parking_lot::Mutex;
use proto::v1;
use proto::v1::routing_service_client::RoutingServiceClient;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use super::load::connect;
use super::{Shop, route_request, start};
use crate::embedded::Source;
use crate::evaluating::Books;
use crate::receiver_files;
use crate::settings::Files;
use crate::shop_files::Texts;

/// How long a page may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two channels that begin to fail: more than a second in four, so that pages begin at every moment of an
/// evaluation's second.
const BETWEEN: Duration = Duration::from_millis(270);

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Five technical failures in a row.
    Streak,
    /// A minute in which surely fewer than 95 % of the payments went through, seen twice within ten seconds.
    Fast,
}

impl Rule {
    const fn name(self) -> &'static str {
        match self {
            Self::Streak => "failures in a row",
            Self::Fast => "success rate of a minute",
        }
    }

    /// How many outcomes cross the line.
    const fn outcomes(self) -> u32 {
        match self {
            Self::Streak => 5,
            Self::Fast => 50,
        }
    }

    /// The first channel of those that it is measured with.
    const fn first(self, pages: u16) -> u16 {
        match self {
            Self::Streak => 0,
            Self::Fast => pages,
        }
    }

    /// What is reported: a decline is no technical failure, and no streak.
    fn outcome(self) -> v1::ReportOutcomeRequest {
        match self {
            Self::Streak => v1::ReportOutcomeRequest {
                result: v1::Result::Failed.into(),
                transport_event: "connect_refused".to_owned(),
                ..v1::ReportOutcomeRequest::default()
            },
            Self::Fast => v1::ReportOutcomeRequest {
                result: v1::Result::Declined.into(),
                provider: "payroute".to_owned(),
                code: "INSUFFICIENT_FUNDS".to_owned(),
                ..v1::ReportOutcomeRequest::default()
            },
        }
    }
}

/// When the page of each channel was read.
type Read = Arc<Mutex<HashMap<String, Instant>>>;

/// Measures `pages` pages of each rule, and prints a table to `out`.
///
/// # Errors
/// When something cannot be started, a call is refused, or a page does not come within a minute.
pub(super) async fn measure(
    pages: u16,
    telemetry: &telemetry::Guard,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let read = Read::default();
    let receiver = Router::new().route("/", post(note)).with_state(Arc::clone(&read));
    let receiver = tokio::spawn(async move { axum::serve(listener, receiver).await });
    let (address, running) = start(data.path(), shop(data.path(), port, pages)?, telemetry).await?;
    writeln!(
        out,
        "\nfrom the outcome that crosses the line to the page on the wire\n{:<26}  {:>9}  {:>9}  {:>9}",
        "rule", "pages", "p50 ms", "p99 ms"
    )?;
    for rule in [Rule::Streak, Rule::Fast] {
        let mut waits_ms = Vec::new();
        let crossed = cross(rule, pages, connect(address).await?).await?;
        for (channel, at) in crossed {
            let page = page_of(&read, &channel).await;
            let page = page.with_context(|| format!("{}: no page of {channel}", rule.name()))?;
            waits_ms.push(page.saturating_duration_since(at).as_millis());
        }
        waits_ms.sort_unstable();
        let percentile = |percent: usize| {
            let place = waits_ms.len().saturating_mul(percent).div_ceil(100);
            waits_ms.get(place.saturating_sub(1)).copied().unwrap_or(0)
        };
        writeln!(
            out,
            "{:<26}  {pages:>9}  {:>9}  {:>9}",
            rule.name(),
            percentile(50),
            percentile(99)
        )?;
        out.flush()?;
    }
    receiver.abort();
    running.stop().await
}

/// Lets one channel after the other cross the line of `rule`, and says when each did.
async fn cross(
    rule: Rule,
    pages: u16,
    mut client: RoutingServiceClient<Channel>,
) -> anyhow::Result<Vec<(String, Instant)>> {
    let mut crossed = Vec::new();
    for number in rule.first(pages)..rule.first(pages).saturating_add(pages) {
        let channel = format!("c{number}");
        let mut decisions = Vec::new();
        for payment in 0..rule.outcomes() {
            let request = v1::RouteRequest {
                candidates: vec![channel.clone()],
                ..route_request(format!("{channel}-{payment}"))
            };
            decisions.push(client.route(request).await?.into_inner());
        }
        let mut reported = Instant::now();
        for (payment, decision) in decisions.into_iter().enumerate() {
            let report = v1::ReportOutcomeRequest {
                decision_token: decision.decision_token,
                attempt_id: format!("{channel}-{payment}"),
                channel_id: channel.clone(),
                ..rule.outcome()
            };
            reported = Instant::now();
            client.report_outcome(report).await?;
        }
        crossed.push((channel, reported));
        sleep(BETWEEN).await;
    }
    Ok(crossed)
}

/// When the page of `channel` was read; `None` when none comes.
async fn page_of(read: &Read, channel: &str) -> Option<Instant> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(at) = read.lock().get(channel) {
            return Some(*at);
        }
        sleep(Duration::from_millis(50)).await;
    }
    None
}

async fn note(State(read): State<Read>, Json(message): Json<Value>) {
    let at = Instant::now();
    let text = |place: &str| message.pointer(place).and_then(Value::as_str);
    if text("/type") == Some("alert.firing")
        && let Some(channel) = text("/data/labels/channel")
    {
        read.lock().entry(channel.to_owned()).or_insert(at);
    }
}

/// A shop of two channels for each page, its alert rules, and the receiver at `port`.
fn shop(folder: &Path, port: u16, pages: u16) -> anyhow::Result<Shop> {
    let mut channels = "channels:\n".to_owned();
    for number in 0..pages.saturating_mul(2) {
        writeln!(
            channels,
            "  - {{id: c{number}, provider: wechatpay_v3, methods: [wechat_pay], currencies: [CNY], timeout_ms: 8000, \
             accounts: [{{id: main}}]}}"
        )?;
    }
    let policy = "{version: 1, name: bench, timezone: UTC, default: {priority: [c0]}}".to_owned();
    let rules = "version: 1\nrules:\n  \
         - {name: Streak, metric: failure_streak, by: channel, at_least: 5, severity: error, \
         group: {by: channel, wait: 0s}}\n  \
         - {name: Fast, metric: business_success, by: channel, below: 95%, severity: critical, \
         checks: [{window: 1m, min_volume: 50, mode: wilson_999, for: 10s}], group: {by: channel, wait: 0s}}\n";
    let rules = Rules::load(rules, "alerts.yaml", None).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    let secret = STANDARD.encode(rand::random::<[u8; 32]>());
    let receivers = format!(
        "guard: {{allow_networks: [127.0.0.1/32], allow_ports: [{port}], allow_http: true}}\n\
         receivers:\n  - name: oncall\n    rate: {{messages: 1000, per_secs: 1}}\n    \
         to: {{webhook: {{url: \"http://127.0.0.1:{port}/\", keys: [whsec_{secret}]}}}}\n"
    );
    let files = Files::default();
    std::fs::write(folder.join(&files.receivers), receivers)?;
    Ok(Shop {
        source: Source::Ledger(Texts { channels, policy }),
        receivers: Arc::new(receiver_files::load(folder, &files)?),
        books: Books {
            rules,
            ..Books::default()
        },
    })
}
