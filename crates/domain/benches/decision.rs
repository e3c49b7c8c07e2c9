//! What a whole decision and one outcome cost: `cargo bench -p payroute-domain --bench decision`.
//!
//! The policy is the worst case: no rule but the default matches. The brain has learnt every segment on every channel
//! beforehand. `memory` shows, in its allocation columns, what those beliefs take in all: divide by its items for the
//! bytes per channel and segment.

use std::fmt::Write as _;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use jiff::{SignedDuration, Timestamp};
use payroute_domain::amount_band::AmountBand;
use payroute_domain::brain::{Brain, Generation, Outcome, Params};
use payroute_domain::channels;
use payroute_domain::decision::{Desk, Query, Shop, decide};
use payroute_domain::id::{ChannelId, MerchantId, PaymentId};
use payroute_domain::limit::Limits;
use payroute_domain::money::Money;
use payroute_domain::outcome::OutcomeClass;
use payroute_domain::payment::{Attributes, Customer, Device, Operation, Stage};
use payroute_domain::policy::Policy;
use rand::SeedableRng;
use rand::rngs::StdRng;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Channels, rules and segments.
const SIZES: [(usize, usize, usize); 8] = [
    (5, 10, 10),
    (20, 10, 10),
    (50, 10, 10),
    (5, 100, 10),
    (50, 100, 10),
    (5, 10, 10_000),
    (20, 10, 10_000),
    (50, 100, 10_000),
];

/// Issuers of a method, and bands of an issuer, that segments are made of.
const ISSUERS: usize = 60;
const AMOUNTS_MINOR: [i64; 4] = [500, 5_000, 50_000, 500_000];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn decision(bencher: Bencher<'_, '_>, (channels, rules, segments): (usize, usize, usize)) {
    let (shop, mut brain) = open(channels, rules);
    learn(&mut brain, channels, segments);
    let mut limits = Limits::default();
    let mut rng = StdRng::seed_from_u64(7);
    let payment = payment();
    let query = Query {
        attributes: &payment,
        candidates: &[],
        exclude: &[],
        portable_to: &[],
        previous: &[],
        order_expires_at: None,
    };
    let mut now = Timestamp::UNIX_EPOCH;
    bencher.bench_local(|| {
        now += SignedDuration::from_micros(100);
        let mut desk = Desk {
            brain: &mut brain,
            limits: &mut limits,
        };
        decide(&shop, &mut desk, divan::black_box(&query), now, &mut rng)
    });
}

#[divan::bench(args = [5, 20, 50])]
fn outcome(bencher: Bencher<'_, '_>, channels: usize) {
    let (_, mut brain) = open(channels, 0);
    learn(&mut brain, channels, 10_000);
    let mut now = Timestamp::UNIX_EPOCH;
    let mut key = 0;
    bencher.bench_local(|| {
        now += SignedDuration::from_micros(100);
        key += 1;
        tell(&mut brain, now, key, (key % 5, "method_1", "bank_1", 5_000));
    });
}

#[divan::bench(args = [(5, 10_000), (20, 10_000), (50, 10_000)])]
fn memory(bencher: Bencher<'_, '_>, (channels, segments): (usize, usize)) {
    bencher
        .counter(ItemsCount::new(channels * segments))
        .with_inputs(|| open(channels, 0).1)
        .bench_local_values(|mut brain| {
            learn(&mut brain, channels, segments);
            brain
        });
}

/// A shop of so many channels and rules, and its brain.
fn open(channels: usize, rules: usize) -> (Shop, Brain) {
    let mut text = String::from("channels:\n");
    for number in 0..channels {
        let _ = writeln!(
            text,
            "  - {{id: channel_{number}, provider: p, methods: [method_1, alipay], currencies: [CNY], \
             max_amount_minor: 5000000, countries: [CN], timeout_ms: 5000, accounts: [{{id: main}}]}}"
        );
    }
    let configuration = made(channels::load(&text, "channels.yaml", &["p"]));
    let mut text = String::from("version: 1\nname: bench\ntimezone: Asia/Shanghai\n");
    if rules > 0 {
        text.push_str("rules:\n");
    }
    for number in 0..rules {
        let _ = writeln!(
            text,
            "  - {{name: rule {number}, when: {{method: method_1, new_customer: true, issuer: bank_x{number}, \
             amount_minor: {{min: 100, currency: CNY}}}}, then: {{priority: [channel_0]}}}}"
        );
    }
    text.push_str("default: {adaptive: {margin_bp: 20, explore_bp: 200}}\n");
    let policy = made(Policy::load(&text, "policy.yaml", &configuration.channels));
    let mut brain = Brain::new(Params::default());
    (Shop::open(configuration, policy, &mut brain), brain)
}

/// Tells the brain one success of each segment on each channel.
fn learn(brain: &mut Brain, channels: usize, segments: usize) {
    let mut key = u64::MAX / 2;
    for segment in 0..segments {
        let amount_minor = AMOUNTS_MINOR
            .get(segment % AMOUNTS_MINOR.len())
            .copied()
            .unwrap_or(1);
        let issuer = format!("bank_{}", segment / AMOUNTS_MINOR.len() % ISSUERS);
        let method = format!("method_{}", segment / AMOUNTS_MINOR.len() / ISSUERS);
        for channel in 0..channels {
            key += 1;
            let channel = u64::try_from(channel).unwrap_or(0);
            let of = (channel, method.as_str(), issuer.as_str(), amount_minor);
            tell(brain, Timestamp::UNIX_EPOCH, key, of);
        }
    }
}

/// Tells the brain a success on a channel, by method and issuer, of an amount.
fn tell(
    brain: &mut Brain,
    now: Timestamp,
    key: u64,
    (channel, method, issuer, minor): (u64, &str, &str, i64),
) {
    let id = made(ChannelId::new(format!("channel_{channel}")));
    let Some(channel) = brain.channel_ix(&id) else {
        return;
    };
    let amount = made(Money::new(minor, made("CNY".parse())));
    let segment = brain.segment(method, Some(issuer), AmountBand::of(amount));
    let outcome = Outcome {
        key,
        channel,
        segment,
        class: OutcomeClass::Success,
        latency_ms: 250.0,
        dispatched_at: now,
        attempt_no: 1,
        generation: Some(Generation(now)),
    };
    brain.outcome(now, &outcome);
}

fn payment() -> Attributes {
    Attributes {
        merchant: made(MerchantId::new("shop")),
        payment: made(PaymentId::new("order-20260301-000042")),
        attempt_no: 1,
        amount: made(Money::new(9_900, made("CNY".parse()))),
        operation: Operation::Sale,
        stage: Stage::Debit,
        method: "method_1".to_owned(),
        presentment: Some("h5".to_owned()),
        issuer: Some("bank_1".to_owned()),
        issuer_country: Some("CN".to_owned()),
        card: None,
        country: Some("CN".to_owned()),
        region: None,
        customer: Customer {
            is_new: true,
            ..Customer::default()
        },
        device: Device::default(),
        risk_score: Some(100),
        metadata: std::collections::BTreeMap::new(),
        locale: Some("zh-CN".to_owned()),
    }
}

#[expect(
    clippy::panic,
    reason = "a benchmark without its input has nothing to measure"
)]
fn made<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#?}"))
}
