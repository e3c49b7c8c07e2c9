//! What eligibility and a policy cost per payment: `cargo bench -p payroute-domain --bench policy`.
//!
//! The payment meets none of the rules, so every condition of every rule is looked at until one fails: the worst
//! case of a policy. The allocation columns must stay empty.

use std::fmt::Write as _;

use divan::{AllocProfiler, Bencher};
use jiff::Timestamp;
use payroute_domain::channels::{self, Channels};
use payroute_domain::eligibility::{Circumstances, Restrictions, eligible};
use payroute_domain::id::{MerchantId, PaymentId};
use payroute_domain::limit::Limits;
use payroute_domain::money::Money;
use payroute_domain::payment::{Attributes, Customer, Device, Operation, Stage};
use payroute_domain::policy::Policy;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// Channels and rules.
const SIZES: [(usize, usize); 6] = [(5, 10), (20, 10), (50, 10), (5, 100), (20, 100), (50, 100)];

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn plan(bencher: Bencher<'_, '_>, (channels, rules): (usize, usize)) {
    let channels = make_channels(channels);
    let policy = make_policy(rules, &channels);
    let open: Vec<_> = channels.iter().map(|(index, _)| index).collect();
    let payment = make_payment();
    let now = Timestamp::UNIX_EPOCH;
    bencher.bench_local(|| policy.plan(divan::black_box(&payment), now, &open));
}

#[divan::bench(args = [5, 20, 50])]
fn eligibility(bencher: Bencher<'_, '_>, channels: usize) {
    let channels = make_channels(channels);
    let limits = Limits::default();
    let circumstances = Circumstances {
        channels: &channels,
        suspensions: &[],
        limits: &limits,
    };
    let payment = make_payment();
    let now = Timestamp::UNIX_EPOCH;
    bencher.bench_local(|| {
        eligible(
            circumstances,
            divan::black_box(&payment),
            Restrictions::default(),
            now,
        )
    });
}

fn make_channels(count: usize) -> Channels {
    let mut text = String::from("channels:\n");
    for number in 0..count {
        let _ = writeln!(
            text,
            "  - {{id: channel_{number}, provider: p, methods: [wechat_pay, alipay], presentments: [app, h5], \
             currencies: [USD, CNY], max_amount_minor: 5000000, countries: [CN], issuers: [icbc, cmb], \
             timeout_ms: 5000, accounts: [{{id: main}}]}}"
        );
    }
    made(channels::load(&text, "channels.yaml", &["p"])).channels
}

fn make_policy(rules: usize, channels: &Channels) -> Policy {
    let mut text = String::from("version: 1\nname: bench\ntimezone: Asia/Shanghai\nrules:\n");
    for number in 0..rules {
        let _ = writeln!(
            text,
            "  - {{name: rule {number}, when: {{method: alipay, new_customer: true, issuer: bank_{number}, \
             amount_minor: {{min: 100, currency: CNY}}}}, then: {{priority: [channel_0]}}}}"
        );
    }
    text.push_str("default: {split: {channel_0: 70, channel_1: 20, rest: 10}}\n");
    made(Policy::load(&text, "policy.yaml", channels))
}

fn make_payment() -> Attributes {
    Attributes {
        merchant: made(MerchantId::new("shop")),
        payment: made(PaymentId::new("order-20260301-000042")),
        attempt_no: 1,
        amount: made(Money::new(9_900, made("CNY".parse()))),
        operation: Operation::Sale,
        stage: Stage::Debit,
        method: "alipay".to_owned(),
        presentment: Some("h5".to_owned()),
        issuer: Some("cmb".to_owned()),
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
