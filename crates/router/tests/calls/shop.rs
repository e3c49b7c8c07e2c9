//! A shop to make calls at.

use std::sync::Arc;

use domain::brain::{Brain, Params};
use domain::catalogue::{Catalogue, Shared};
use domain::channels;
use domain::clock::{Clock, ManualClock};
use domain::decision::Shop;
use domain::network_retry::Rules;
use domain::notice;
use domain::outcome_event::OutcomeEvent;
use domain::policy::Policy;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use ledger::spool::{self, Spool};
use ledger::{Guards, Ledger, SqliteLedger, SqliteSettings, Writer};
use payroute_router::error::CallError;
use payroute_router::guarded::{ByDefault, Guarding};
use payroute_router::notice::Teller;
use payroute_router::routing::{Parts, Routing};
use payroute_router::token::{Key, Keyring};
use proto::v1;
use rand::SeedableRng;
use rand::rngs::StdRng;
use stats::live::Live;
use stats::stream::{Consumer, stream};
use tempfile::TempDir;
use tonic::Status;
use tonic_types::StatusExt;

use crate::outage::Outage;

const POLICY: &str = "version: 7\nname: test\ntimezone: UTC\ndefault: {priority: [a, b, c]}\n";

/// How long a decision token is good for.
pub(crate) const TOKEN_TTL: SignedDuration = SignedDuration::from_mins(15);

/// A routing service and what stands around it.
pub(crate) struct Desk {
    /// The service.
    pub(crate) routing: Arc<Routing>,
    /// Its clock.
    pub(crate) clock: Arc<ManualClock>,
    /// What it shares with the monitor.
    pub(crate) live: Arc<Live>,
    /// Where outcomes come out.
    outcomes: Consumer,
    /// The ledger's folder, removed at the end.
    _data: TempDir,
}

impl Desk {
    /// A shop with three channels that are tried in their order.
    pub(crate) async fn open() -> Self {
        Self::build(None, None).await.0
    }

    /// The same with a spool of that many bytes, and a switch before its ledger.
    pub(crate) async fn with_spool(max_bytes: u64) -> (Self, Arc<Outage>) {
        let (desk, outage, _) = Self::build(Some(max_bytes), None).await;
        (desk, outage)
    }

    /// A shop that tells its customers what `rules` say, and the ledger that keeps what is to be sent.
    pub(crate) async fn telling(rules: &str) -> (Self, Arc<SqliteLedger>) {
        let rules = notice::Rules::load(rules, "notices.yaml").unwrap();
        let (desk, _, ledger) = Self::build(None, Some(rules)).await;
        (desk, ledger)
    }

    async fn build(
        max_bytes: Option<u64>,
        notices: Option<notice::Rules>,
    ) -> (Self, Arc<Outage>, Arc<SqliteLedger>) {
        let data = tempfile::tempdir().unwrap();
        let settings = SqliteSettings {
            path: data.path().join("payroute.db"),
            max_bytes: None,
        };
        let sqlite = Arc::new(SqliteLedger::open(&settings).await.unwrap());
        let ledger = Arc::new(Outage::before(Arc::clone(&sqlite) as _));
        let clock = Arc::new(ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap()));
        let mut brain = Brain::new(Params::default());
        let shop = shop(&mut brain);
        let snapshot = HealthSnapshot::take(0, clock.now(), &Windows::default(), []);
        let live = Arc::new(Live::new(brain, snapshot));
        let (publisher, outcomes) = stream(65_536);
        let counted = publisher.clone();
        let writer = Writer::builder(Arc::clone(&ledger) as _).on_new(move |record| {
            if let Some(event) = record.outcome() {
                counted.publish(event).unwrap();
            }
        });
        let folder = data.path().join("spool");
        let writer = match max_bytes {
            None => writer.spawn(),
            Some(max_bytes) => {
                let spool = Spool::open(&spool::Settings { folder, max_bytes }).unwrap();
                writer.spool(spool, 7).spawn()
            }
        };
        let catalogue = Shared::new(Catalogue::built_in().unwrap());
        let teller = Teller::new(notices, catalogue.clone());
        let key = Key {
            id: 1,
            secret: vec![7; 32],
        };
        let parts = Parts {
            shop,
            live: Arc::clone(&live),
            catalogue,
            keyring: Keyring::new(&[key]).unwrap(),
            writer,
            ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
            cases: Arc::clone(&sqlite) as _,
            outcomes: publisher,
            clock: Arc::clone(&clock) as _,
            token_ttl: TOKEN_TTL,
            rng: StdRng::seed_from_u64(7),
            guarding: Guarding {
                guards: Arc::clone(&ledger) as Arc<dyn Guards>,
                by_default: ByDefault::Merchants(vec!["guarded_shop".parse().unwrap()]),
                rules: Rules::built_in().unwrap(),
            },
        };
        let desk = Self {
            routing: Arc::new(Routing::new(parts).unwrap().telling(teller)),
            clock,
            live,
            outcomes,
            _data: data,
        };
        (desk, ledger, sqlite)
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: SignedDuration) -> Timestamp {
        let now = self.clock.now() + time;
        self.clock.set(now);
        now
    }

    /// The decision about the first attempt of that payment.
    pub(crate) fn route(&self, payment: &str) -> v1::RouteResponse {
        // Without the guard nothing is waited for.
        let answer = self.routing.route(request(payment)).now_or_never();
        answer.unwrap().unwrap()
    }

    /// What a report is answered with.
    pub(crate) async fn report(
        &self,
        report: v1::ReportOutcomeRequest,
    ) -> Result<v1::ReportOutcomeResponse, CallError> {
        self.routing.report(report, None).await
    }

    /// What a finding about the attempt of `receipt` is answered with.
    pub(crate) async fn resolve(
        &self,
        receipt: &[u8],
        resolution: v1::Resolution,
        source: v1::ResolutionSource,
    ) -> Result<v1::ResolveAttemptResponse, CallError> {
        let request = v1::ResolveAttemptRequest {
            receipt: receipt.to_vec(),
            resolution: resolution.into(),
            source: source.into(),
            ..v1::ResolveAttemptRequest::default()
        };
        self.routing.resolve(request).await
    }

    /// The payment as customer service sees it.
    pub(crate) async fn payment(&self, payment: &str) -> v1::GetPaymentResponse {
        self.look_up(payment).await.unwrap()
    }

    /// What customer service is answered.
    pub(crate) async fn look_up(&self, payment: &str) -> Result<v1::GetPaymentResponse, CallError> {
        let request = v1::GetPaymentRequest {
            merchant_id: "shop".to_owned(),
            payment_id: payment.to_owned(),
        };
        self.routing.payment(request).await
    }

    /// The outcomes that were handed over to be counted since the last look.
    pub(crate) async fn counted(&mut self) -> Vec<OutcomeEvent> {
        let mut events = Vec::new();
        if self.outcomes.waiting() > 0 {
            self.outcomes.next(&mut events, 1_000).await;
        }
        events
    }
}

fn shop(brain: &mut Brain) -> Shop {
    let mut text = String::from("channels:\n");
    for name in ["a", "b", "c"] {
        let line = format!(
            "  - {{id: {name}, provider: payroute, methods: [pay], currencies: [CNY], timeout_ms: 5000, \
             capabilities: {{query: true, authorize: true}}, accounts: [{{id: main}}]}}\n"
        );
        text.push_str(&line);
    }
    let configuration = channels::load(&text, "channels.yaml", &["payroute"]).unwrap();
    let policy = Policy::load(POLICY, "policy.yaml", &configuration.channels).unwrap();
    Shop::open(configuration, policy, brain)
}

/// The least that Route asks for.
pub(crate) fn request(payment: &str) -> v1::RouteRequest {
    v1::RouteRequest {
        merchant_id: "shop".to_owned(),
        payment_id: payment.to_owned(),
        amount_minor: 1_999,
        currency: "CNY".to_owned(),
        method: "pay".to_owned(),
        locale: "en".to_owned(),
        ..v1::RouteRequest::default()
    }
}

/// A report on the channel that was decided.
pub(crate) fn report(
    decision: &v1::RouteResponse,
    attempt: &str,
    result: v1::Result,
) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        decision_token: decision.decision_token.clone(),
        attempt_id: attempt.to_owned(),
        channel_id: decision.channel.as_ref().unwrap().channel_id.clone(),
        result: result.into(),
        latency_ms: 250,
        ..v1::ReportOutcomeRequest::default()
    }
}

/// The same with a code of the provider.
pub(crate) fn failure(decision: &v1::RouteResponse, attempt: &str, code: &str) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        code: code.to_owned(),
        ..report(decision, attempt, v1::Result::Failed)
    }
}

/// The gRPC code and the reason of a refusal.
pub(crate) fn refusal<T>(answer: Result<T, CallError>) -> (tonic::Code, String) {
    let Err(error) = answer else {
        panic!("it was not refused");
    };
    let status = Status::from(error);
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    let fields = details.bad_request().map(|request| {
        let fields = request.field_violations.iter().map(|field| field.field.clone());
        fields.collect::<Vec<_>>().join(",")
    });
    (status.code(), reason.or(fields).unwrap_or_default())
}
