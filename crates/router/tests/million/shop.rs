//! Routers of a shop with the channels of a world.

use std::sync::Arc;

use domain::brain::{Brain, Params};
use domain::catalogue::{Catalogue, Shared};
use domain::channels;
use domain::clock::{Clock, ManualClock};
use domain::decision::Shop;
use domain::network_retry::Rules;
use domain::policy::Policy;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use jiff::SignedDuration;
use ledger::memory::MemoryLedger;
use ledger::{Guards, Ledger, Writer};
use payroute_router::guarded::{ByDefault, Guarding};
use payroute_router::routing::{Parts, Routing};
use payroute_router::token::{Key, Keyring};
use rand::SeedableRng;
use rand::rngs::StdRng;
use simulator::scenario::Scenario;
use simulator::world::World;
use stats::live::Live;
use stats::stream::{Consumer, stream};

use crate::cases::NoCases;

/// Three channels with outages, brown-outs, lost, repeated and slow answers, for as long as there are payments.
const SCENARIO: &str = "
name: million
duration_s: DURATION
channels:
  - id: a
    methods: [card]
    success: {base: 0.94}
    latency: {median_ms: 300, sigma: 0.6}
    timeout_ms: 2000
  - id: b
    methods: [card]
    success: {base: 0.92}
    latency: {median_ms: 350, sigma: 0.6}
    timeout_ms: 2000
  - id: c
    methods: [card]
    success: {base: 0.90}
    latency: {median_ms: 400, sigma: 0.6}
    timeout_ms: 2000
events:
  - {kind: {lost_answers: {share: 0.02}}, start_s: 0, end_s: DURATION}
  - {kind: {duplicate_answers: {share: 0.05}}, start_s: 0, end_s: DURATION}
  - {channel: a, kind: {brown_out: {severity: 0.3, timeouts: 0.5}}, start_s: 20, end_s: 40}
  - {channel: a, kind: {lost_answers: {share: 0.3}}, start_s: 50, end_s: 60}
  - {channel: b, kind: {outage: {timeouts: 0.6}}, start_s: 30, end_s: 50}
  - {channel: b, kind: {slow: {factor: 4}}, start_s: 60, end_s: 80}
traffic:
  merchant: shop
  currency: CNY
  country: CN
  payments_per_s: RATE
  methods:
    - {name: card, presentments: [app], cards: [{brand: visa, funding: credit}]}
  issuers: [{name: icbc, country: CN}]
  amounts: {median_minor: 12000, sigma: 1.2, min_minor: 100, max_minor: 3000000}
  customers: {new: 0.2, ios: 0.3, android: 0.6, age_bands: [{name: 18-25}]}
  refusals: 0.02
";

/// How long customers come, in seconds.
const DURATION_S: u32 = 100;

const POLICY: &str = "version: 1\nname: million\ntimezone: UTC\ndefault: {adaptive: {explore_bp: 500}}\n";

/// A world in which about `payments` payments are made.
pub(crate) fn world(seed: u64, payments: u32) -> Arc<World> {
    let text = SCENARIO
        .replace("DURATION", &DURATION_S.to_string())
        .replace("RATE", &(payments / DURATION_S).to_string());
    Arc::new(World::new(Scenario::from_yaml(&text).unwrap(), seed))
}

/// A router of the shop, which knows nothing yet but what the ledger has; and where its outcomes go.
pub(crate) fn router(
    clock: &Arc<ManualClock>,
    ledger: &Arc<MemoryLedger>,
    seed: u64,
) -> (Arc<Routing>, Consumer) {
    let mut text = String::from("channels:\n");
    for name in ["a", "b", "c"] {
        let line = format!(
            "  - {{id: {name}, provider: payroute, methods: [card], currencies: [CNY], timeout_ms: 2000, \
             capabilities: {{query: true, reversal: true, idempotent: true}}, accounts: [{{id: main}}]}}\n"
        );
        text.push_str(&line);
    }
    let configuration = channels::load(&text, "channels.yaml", &["payroute"]).unwrap();
    let policy = Policy::load(POLICY, "policy.yaml", &configuration.channels).unwrap();
    let mut brain = Brain::new(Params::default());
    let shop = Shop::open(configuration, policy, &mut brain);
    let snapshot = HealthSnapshot::take(0, clock.now(), &Windows::default(), []);
    let live = Arc::new(Live::new(brain, snapshot));
    let (publisher, consumer) = stream(65_536);
    let (taught, count) = (Arc::clone(&live), publisher.clone());
    let writer = Writer::builder(Arc::clone(ledger) as Arc<dyn Ledger>).on_new(move |record| {
        if let Some(event) = record.outcome() {
            // As the monitor does, without its windows.
            taught.with_brain(|brain| event.teach(brain));
        }
    });
    let key = Key {
        id: 1,
        secret: vec![7; 32],
    };
    let parts = Parts {
        shop,
        live,
        catalogue: Shared::new(Catalogue::built_in().unwrap()),
        keyring: Keyring::new(&[key]).unwrap(),
        writer: writer.spawn(),
        ledger: Arc::clone(ledger) as Arc<dyn Ledger>,
        cases: Arc::new(NoCases),
        outcomes: count,
        clock: Arc::clone(clock) as _,
        token_ttl: SignedDuration::from_hours(24),
        rng: StdRng::seed_from_u64(seed),
        guarding: Guarding {
            guards: Arc::clone(ledger) as Arc<dyn Guards>,
            by_default: ByDefault::Nobody,
            rules: Rules::built_in().unwrap(),
        },
    };
    (Arc::new(Routing::new(parts).unwrap()), consumer)
}
