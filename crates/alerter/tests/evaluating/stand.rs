//! A ledger, channels, outcomes, and evaluators of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use domain::alert::Rules;
use domain::brain::{Brain, Params};
use domain::catalogue::{Catalogue, Shared};
use domain::clock::ManualClock;
use domain::control::{Actor, Change};
use domain::id::ChannelId;
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::runbook::Runbooks;
use domain::snapshot::{Breaker, ChannelRow, HealthSnapshot};
use jiff::{SignedDuration, Timestamp};
use ledger::alert::{
    Act, Acted, Advance, Advanced, AlertStore, Board, Book, Deed, Edition, Entry, Incident, Run, Search,
    Silence,
};
use ledger::attempt::AttemptRecord;
use ledger::compensation::Cases;
use ledger::control::{ControlStore, Editor};
use ledger::delivery::{Deliveries, Filter, Record};
use ledger::{
    Answer, Batch, Impact, Ledger, LedgerError, ObservationSource, Observed, PostgresLedger,
    PostgresSettings, ReportedCode, Span, SqliteLedger, SqliteSettings, Whom,
};
use payroute_alerter::evaluator::emergency::Emergency;
use payroute_alerter::evaluator::{Evaluator, Parts};
use stats::live::Live;
use tempfile::TempDir;
use uuid::Uuid;

/// 2026-11-29T00:00:05Z.
pub(crate) const START: i64 = 1_795_910_405;

/// Rules whose alerts tests wait for: the fast check of the defaults, alone, for all channels and for each.
pub(crate) const RULES: &str = "
version: 1
rules:
  - name: Overall
    metric: business_success
    below: 95%
    checks: [{window: 1m, min_volume: 50, mode: wilson, for: 10s}]
    resolve: {margin: 1%, window: 1m, min_volume: 50}
    keep_firing_for: 30s
    severity: critical
    group: {wait: 0s, interval: 10s}
  - name: Failing
    metric: failure_streak
    by: channel
    at_least: 5
    severity: error
    group: {by: [provider], wait: 0s, interval: 10s}
";

/// Everything that a store offers.
pub(crate) trait Everything: Ledger + ObservationSource + AlertStore + Deliveries + Cases {}
impl<T: Ledger + ObservationSource + AlertStore + Deliveries + Cases> Everything for T {}

/// A store that can be told to fail, and that gives the lease to everybody when it is told so.
#[derive(Debug)]
pub(crate) struct Moody {
    pub(crate) store: Arc<dyn Everything>,
    pub(crate) is_away: AtomicBool,
    pub(crate) is_blind: AtomicBool,
    pub(crate) is_generous: AtomicBool,
    /// What is in the messages that were to be written.
    pub(crate) written: parking_lot::Mutex<Vec<String>>,
}

impl Moody {
    fn refused(&self) -> Option<LedgerError> {
        let away = self.is_away.load(Ordering::SeqCst);
        away.then(|| LedgerError::silent("do anything"))
    }
}

macro_rules! moody {
    ($self:ident, $call:expr) => {
        Box::pin(async move {
            match $self.refused() {
                Some(error) => Err(error),
                None => $call.await,
            }
        })
    };
}

impl AlertStore for Moody {
    fn board(&self, known: Option<u64>, now: Timestamp) -> Answer<'_, Option<Board>> {
        moody!(self, self.store.board(known, now))
    }
    fn advance<'a>(&'a self, advance: &'a Advance) -> Answer<'a, Advanced> {
        let messages = advance.deliveries.iter().map(|one| one.message.to_string());
        self.written.lock().extend(messages);
        moody!(self, self.store.advance(advance))
    }
    fn act<'a>(&'a self, act: &'a Act) -> Answer<'a, Acted> {
        moody!(self, self.store.act(act))
    }
    fn lease<'a>(&'a self, name: &'a str, holder: &'a str, term: Duration) -> Answer<'a, bool> {
        moody!(self, async {
            Ok(self.store.lease(name, holder, term).await? || self.is_generous.load(Ordering::SeqCst))
        })
    }
    fn incidents<'a>(&'a self, search: &'a Search) -> Answer<'a, Vec<Incident>> {
        moody!(self, self.store.incidents(search))
    }
    fn incident(&self, id: Uuid) -> Answer<'_, Option<(Incident, Vec<Entry>)>> {
        moody!(self, AlertStore::incident(&*self.store, id))
    }
    fn silences(&self, limit: u32) -> Answer<'_, Vec<Silence>> {
        moody!(self, self.store.silences(limit))
    }
    fn runs(&self, incident: Uuid) -> Answer<'_, Vec<Run>> {
        moody!(self, self.store.runs(incident))
    }
    fn edition(&self, book: Book, version: Option<u64>) -> Answer<'_, Option<Edition>> {
        moody!(self, self.store.edition(book, version))
    }
}

impl ObservationSource for Moody {
    fn observe(&self, span: Span, bucket_secs: u32) -> Answer<'_, Vec<Observed>> {
        if self.is_blind.load(Ordering::SeqCst) {
            return Box::pin(async { Err(LedgerError::silent("observe outcomes")) });
        }
        moody!(self, self.store.observe(span, bucket_secs))
    }
    fn reported_codes(&self, span: Span, limit: u32) -> Answer<'_, Vec<ReportedCode>> {
        moody!(self, self.store.reported_codes(span, limit))
    }
    fn impact<'a>(&'a self, span: Span, whom: &'a Whom, limit: u32) -> Answer<'a, Impact> {
        moody!(self, self.store.impact(span, whom, limit))
    }
}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) parking_lot::Mutex<Vec<delivery::message::Page>>);

impl Emergency for Heard {
    fn tell<'a>(
        &'a self,
        page: &'a delivery::message::Page,
    ) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        self.0.lock().push(page.clone());
        Box::pin(async { true })
    }
}

/// The stores, the time, and what is known of health.
pub(crate) struct Stand {
    pub(crate) moody: Arc<Moody>,
    pub(crate) control: Arc<dyn ControlStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) live: Arc<Live>,
    pub(crate) heard: Arc<Heard>,
    catalogue: Shared,
    channels: Vec<String>,
    attempts: AtomicU32,
    _folder: TempDir,
}

impl Stand {
    /// On a file, with so many channels `c0`, `c1` ... of two providers.
    pub(crate) async fn on_file(channels: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = SqliteSettings {
            path: folder.path().join("ledger.db"),
            max_bytes: None,
        };
        let ledger = Arc::new(SqliteLedger::open(&settings).await.unwrap());
        Self::of(Arc::clone(&ledger) as _, ledger, channels, folder).await
    }

    /// On Postgres.
    pub(crate) async fn on_server(channels: usize) -> Self {
        let database = tokio::task::spawn_blocking(|| rig::Postgres::shared().database().unwrap());
        let settings = PostgresSettings {
            url: database.await.unwrap(),
            max_connections: 16,
            retention_days: 30,
        };
        let ledger = Arc::new(PostgresLedger::open(&settings).await.unwrap());
        let control = Arc::new(ledger.control());
        Self::of(ledger, control, channels, TempDir::new().unwrap()).await
    }

    async fn of(
        store: Arc<dyn Everything>,
        control: Arc<dyn ControlStore>,
        channels: usize,
        folder: TempDir,
    ) -> Self {
        let catalogue = Shared::new(Catalogue::built_in().unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(START).unwrap()));
        let names: Vec<String> = (0..channels).map(|number| format!("c{number}")).collect();
        let mut document = "channels:\n".to_owned();
        for (number, name) in names.iter().enumerate() {
            let provider = ["alipay", "wechatpay_v3"][number % 2];
            let line = format!(
                "  - {{id: {name}, provider: {provider}, methods: [card], currencies: [CNY], timeout_ms: 5000, \
                 accounts: [{{id: main}}]}}\n"
            );
            document.push_str(&line);
        }
        document.push_str("limits:\n  - {id: cap, count: 20, window_secs: 600}\n");
        let policy = format!(
            "{{version: 1, name: p, timezone: UTC, default: {{priority: [{}]}}}}",
            names[0]
        );
        let editor = Editor::new(Arc::clone(&control), catalogue.clone(), Arc::clone(&clock) as _);
        editor.import(&document, &policy).await.unwrap();
        let nothing = HealthSnapshot::assemble(0, Timestamp::from_second(START).unwrap(), []);
        let stand = Self {
            moody: Arc::new(Moody {
                store,
                is_away: AtomicBool::new(false),
                is_blind: AtomicBool::new(false),
                is_generous: AtomicBool::new(true),
                written: parking_lot::Mutex::default(),
            }),
            control,
            clock,
            live: Arc::new(Live::new(Brain::new(Params::default()), nothing)),
            heard: Arc::new(Heard::default()),
            catalogue,
            channels: names,
            attempts: AtomicU32::new(0),
            _folder: folder,
        };
        stand.health(&[]);
        stand
    }

    /// An evaluator by `rules`, which tells `oncall` and `chat`.
    pub(crate) fn evaluator(&self, rules: &str) -> Evaluator {
        Evaluator::new(self.parts(rules))
    }

    /// The same, with `runbooks`.
    pub(crate) fn with_runbooks(&self, rules: &str, runbooks: &str) -> Evaluator {
        Evaluator::new(Parts {
            runbooks: Runbooks::load(runbooks, "runbooks.yaml", None).unwrap(),
            ..self.parts(rules)
        })
    }

    /// The same, which sends signs of life to `outside`.
    pub(crate) fn watched(&self, rules: &str) -> Evaluator {
        Evaluator::new(Parts {
            watchdog: Some("outside".into()),
            ..self.parts(rules)
        })
    }

    fn parts(&self, rules: &str) -> Parts {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Parts {
            alerts: Arc::clone(&self.moody) as _,
            observations: Arc::clone(&self.moody) as _,
            cases: Arc::clone(&self.moody.store) as _,
            deliveries: Arc::clone(&self.moody.store) as _,
            control: Arc::clone(&self.control),
            live: Arc::clone(&self.live),
            board: None,
            catalogue: self.catalogue.clone(),
            clock: Arc::clone(&self.clock) as _,
            rules: Rules::load(rules, "alerts.yaml", None).unwrap(),
            runbooks: Runbooks::default(),
            everybody: vec!["oncall".into(), "chat".into()],
            locales: BTreeMap::new(),
            emergency: Some(Arc::clone(&self.heard) as _),
            watchdog: None,
            console: Some("https://pay.example".to_owned()),
            holder: format!("e{}", NUMBER.fetch_add(1, Ordering::SeqCst)),
            every: Duration::from_secs(1),
            patience: SignedDuration::from_secs(15),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        domain::clock::Clock::now(&*self.clock)
    }

    /// Moves the time, and publishes health as of then.
    pub(crate) fn pass(&self, secs: i64) {
        let later = self.now() + SignedDuration::from_secs(secs);
        self.clock.set(later);
        let before = self.live.snapshot();
        let rows = before.channels.iter().map(|health| {
            let row = ChannelRow {
                channel: health.channel.clone(),
                views: health.views.clone(),
                timeout_streak: health.timeout_streak,
                failure_streak: health.failure_streak,
                last_success_at: health.last_success_at,
                late: health.late,
            };
            (row, health.breaker.clone())
        });
        let rows: Vec<_> = rows.collect();
        self.live
            .publish(HealthSnapshot::assemble(before.seq + 1, later, rows));
    }

    /// Publishes health in which these channels have failed so often in a row, the others never.
    pub(crate) fn health(&self, failing: &[(&str, u32)]) {
        let now = self.now();
        let rows = self.channels.iter().map(|name| {
            let mut row = ChannelRow::of(ChannelId::new(name).unwrap(), None, now);
            let failures = failing.iter().find(|(failing, _)| failing == name);
            row.failure_streak = failures.map_or(0, |(_, failures)| *failures);
            (row, Breaker::healthy(now))
        });
        let rows: Vec<_> = rows.collect();
        let seq = self.live.snapshot().seq + 1;
        self.live.publish(HealthSnapshot::assemble(seq, now, rows));
    }

    /// Reports outcomes that are received now.
    pub(crate) async fn report(&self, channel: &str, class: OutcomeClass, count: u32) {
        let attempts = (0..count).map(|_| self.attempt(channel, class));
        let batch = Batch {
            attempts: attempts.collect(),
            ..Batch::default()
        };
        self.moody.store.commit(&batch).await.unwrap();
    }

    pub(crate) fn attempt(&self, channel: &str, class: OutcomeClass) -> AttemptRecord {
        let number = self.attempts.fetch_add(1, Ordering::SeqCst);
        let now = self.now();
        let succeeded = class.is_success();
        // As a spool would hold it: what later releases add has its default there.
        let record = serde_json::json!({
            "merchant": "shop",
            "attempt": format!("a{number}"),
            "payment": format!("p{number}"),
            "attempt_no": 1,
            "decision": Uuid::from_u128(1),
            "channel": channel,
            "account": null,
            "amount": Money::new(100, "CNY".parse().unwrap()).unwrap(),
            "segment": {"method": "card", "issuer": "icbc", "region": null},
            "report": {
                "result": if succeeded { "succeeded" } else { "failed" },
                "provider": "alipay",
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

    /// Does something as somebody.
    pub(crate) async fn act(&self, deed: Deed) -> Acted {
        let act = Act {
            deed,
            by: domain::control::Actor::new("ann").unwrap(),
            at: self.now(),
        };
        self.moody.store.act(&act).await.unwrap()
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
        self.moody.store.incidents(&all).await.unwrap()
    }

    /// All deliveries to `receiver`, the earliest first.
    pub(crate) async fn told(&self, receiver: &str) -> Vec<Record> {
        let filter = Filter {
            receiver: Some(receiver.to_owned()),
            limit: 1_000,
            ..Filter::default()
        };
        let mut records = Deliveries::list(&*self.moody.store, &filter).await.unwrap();
        records.reverse();
        records
    }

    /// What the timeline of `incident` says of runbooks.
    pub(crate) async fn runbook_lines(&self, incident: &Incident) -> Vec<String> {
        let found = AlertStore::incident(&*self.moody.store, incident.id)
            .await
            .unwrap();
        let lines = found
            .unwrap()
            .1
            .into_iter()
            .filter(|entry| entry.kind == "runbook");
        lines.map(|entry| entry.text).collect()
    }

    /// What operators have set now.
    pub(crate) async fn set(&self) -> domain::control::Control {
        self.control.control().await.unwrap().unwrap()
    }

    /// Makes a change as somebody.
    pub(crate) async fn change(&self, change: Change) {
        let clock = Arc::clone(&self.clock) as _;
        let editor = Editor::new(Arc::clone(&self.control), self.catalogue.clone(), clock);
        editor
            .make(change, &Actor::new("ann").unwrap(), None)
            .await
            .unwrap();
    }

    /// The kinds of lines in the timeline of `incident`.
    pub(crate) async fn kinds(&self, incident: &Incident) -> Vec<String> {
        let (_, entries) = AlertStore::incident(&*self.moody.store, incident.id)
            .await
            .unwrap()
            .unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    }
}
