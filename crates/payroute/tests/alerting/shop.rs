//! A shop whose channels are watched: a house with channels, alert rules, outcomes, and what is told of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::money::Money;
use domain::outcome::OutcomeClass;
use ledger::alert::{AlertStore as _, Entry, Incident, Search};
use ledger::attempt::AttemptRecord;
use ledger::{Batch, Deliveries as _, Ledger as _};
use rig::zoo::ROUTING_KEYS;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::support::House;

/// Whom the shop tells.
pub(crate) const RECEIVERS: &str = "receivers:
  - {name: hook, rate: {messages: 100, per_secs: 1}, to: {webhook: {url: ZOO/hook, keys: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}}
  - {name: duty, rate: {messages: 100, per_secs: 1}, to: {pagerduty: {url: ZOO/v2/enqueue, routing_keys: [R0000000000000000000000000000NEW]}}}
";

/// One rule, about each channel, that fires at once and is over as soon as any rule may be.
pub(crate) const RULES: &str = "version: 1
rules:
  - name: Low
    metric: technical_success
    by: channel
    below: 95%
    checks: [{window: 20s, min_volume: 4, mode: naive, for: 0s}]
    resolve: {margin: 1%, window: 20s, min_volume: 4, latest: 0}
    keep_firing_for: 30s
    severity: critical
    group: {by: provider, wait: 0s, interval: 10s}
";

/// What the webhook is told of an alert that fires, and of one that is over.
pub(crate) const FIRING: &str = "alert.firing";
pub(crate) const RESOLVED: &str = "alert.resolved";

/// Providers that the channels have in turn.
const PROVIDERS: [&str; 2] = ["alipay", "wechatpay_v3"];

/// A watched shop.
pub(crate) struct Shop {
    pub(crate) house: House,
    attempts: AtomicU32,
}

impl Shop {
    /// With so many channels `c0`, `c1` ... of two providers, on the shared server.
    pub(crate) async fn open(channels: usize, rules: &str) -> Self {
        Self::of(House::open(RECEIVERS).await, channels, rules)
    }

    /// The same in `house`.
    pub(crate) fn of(house: House, channels: usize, rules: &str) -> Self {
        let channel = |number: usize| {
            let provider = PROVIDERS[number % PROVIDERS.len()];
            format!(
                "  - {{id: c{number}, provider: {provider}, methods: [card], currencies: [CNY], timeout_ms: 5000, \
                 accounts: [{{id: main}}]}}\n"
            )
        };
        let channels: Vec<String> = (0..channels).map(channel).collect();
        house.write("channels.yaml", &format!("channels:\n{}", channels.concat()));
        house.write(
            "policy.yaml",
            "{version: 1, name: p, timezone: UTC, default: {priority: [c0]}}",
        );
        house.write("alerts.yaml", rules);
        house.import();
        Self {
            house,
            attempts: AtomicU32::new(0),
        }
    }

    /// Reports so many outcomes of each channel, which are received now.
    pub(crate) async fn report(&self, channels: &[usize], class: OutcomeClass, count: u32) {
        let now = self.house.ledger.clock().await.unwrap();
        let attempts = channels
            .iter()
            .flat_map(|channel| (0..count).map(move |_| *channel));
        let attempts = attempts
            .map(|channel| self.attempt(channel, class, now))
            .collect();
        let batch = Batch {
            attempts,
            ..Batch::default()
        };
        self.house.ledger.commit(&batch).await.unwrap();
    }

    /// Reports that all is well with these channels, every second, until `look` finds something.
    pub(crate) async fn thrive<T>(
        &self,
        channels: &[usize],
        what: &str,
        look: impl AsyncFn() -> Option<T>,
    ) -> T {
        let until = Instant::now() + crate::support::PATIENCE;
        loop {
            self.report(channels, OutcomeClass::Success, 1).await;
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < until, "waited in vain for {what}");
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn attempt(&self, channel: usize, class: OutcomeClass, now: jiff::Timestamp) -> AttemptRecord {
        let number = self.attempts.fetch_add(1, Ordering::SeqCst);
        let succeeded = class.is_success();
        // As a spool would hold it: what later releases add has its default there.
        let record = serde_json::json!({
            "merchant": "shop",
            "attempt": format!("a{number}"),
            "payment": format!("p{number}"),
            "attempt_no": 1,
            "decision": Uuid::from_u128(1),
            "channel": format!("c{channel}"),
            "account": null,
            "amount": Money::new(100, "CNY".parse().unwrap()).unwrap(),
            "segment": {"method": "card", "issuer": "icbc", "region": null},
            "report": {
                "result": if succeeded { "succeeded" } else { "failed" },
                "provider": PROVIDERS[channel % PROVIDERS.len()],
                "code": null,
                "sub_code": null,
                "http_status": null,
                "transport_event": null,
                "message": null,
                "provider_reference": null,
                "network_advice_code": null,
            },
            "verdict": {
                "reason": (!succeeded).then_some("provider_unavailable"),
                "certainty": "certain",
                "class": class,
                "state": if succeeded { "succeeded" } else { "declined" },
            },
            "decided_at": now,
            "trace_id": null,
            "started_at": now,
            "received_at": now,
            "latency_ms": 200,
            "digest": vec![1_u8; 32],
        });
        serde_json::from_value(record).unwrap()
    }

    /// All incidents, the latest first.
    pub(crate) async fn incidents(&self) -> Vec<Incident> {
        let all = Search {
            words: Vec::new(),
            rule: None,
            open: false,
            before: None,
            limit: 10_000,
        };
        self.house.ledger.incidents(&all).await.unwrap()
    }

    /// Whether there are so many incidents and all of them are over.
    pub(crate) async fn all_over(&self, count: usize) -> Option<()> {
        let incidents = self.incidents().await;
        let over = incidents
            .iter()
            .filter(|incident| incident.resolved.is_some())
            .count();
        (over == count && incidents.len() == count).then_some(())
    }

    /// The kinds of lines in the timeline of `incident`.
    pub(crate) async fn kinds(&self, incident: &Incident) -> BTreeSet<String> {
        let found = self.house.ledger.incident(incident.id).await.unwrap();
        let (_, entries): (Incident, Vec<Entry>) = found.unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    }

    /// What the webhook has accepted: of each message its status, once however often it came.
    pub(crate) fn heard(&self) -> Vec<String> {
        let mut ids = BTreeSet::new();
        let visits = self.house.zoo.visits().into_iter();
        let hooks = visits.filter(|visit| visit.path == "/hook");
        let new = hooks.filter(|visit| ids.insert(visit.header("webhook-id").to_owned()));
        new.map(|visit| visit.json()["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Pages of `PagerDuty` that are open, and those that are not.
    pub(crate) fn pages(&self) -> (usize, usize) {
        self.pages_of(ROUTING_KEYS[0])
    }

    /// The same at the service of that key.
    pub(crate) fn pages_of(&self, routing_key: &str) -> (usize, usize) {
        let mut incidents = self.house.zoo.incidents();
        incidents.retain(|incident| incident.routing_key == routing_key);
        let open = incidents.iter().filter(|incident| incident.open).count();
        (open, incidents.len() - open)
    }

    /// Runs `payroute ctl` at a console.
    pub(crate) fn ctl(&self, console: &rig::Program, arguments: &[&str]) -> String {
        let address = format!("http://{}", console.address("REST on"));
        let mut all = vec!["ctl", "--console", &address];
        all.extend(arguments);
        self.house.run(&all)
    }
}
