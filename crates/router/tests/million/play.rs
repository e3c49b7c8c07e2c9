//! Plays a world: a loop over what happens, in its own time. All calls of one tick are made together, so that they meet.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::clock::ManualClock;
use domain::outcome::OutcomeClass;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use ledger::memory::MemoryLedger;
use payroute_router::routing::Routing;
use proto::v1;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use simulator::provider::{Providers, QueryResult};
use simulator::shopper::{Arrivals, Shopper};
use simulator::world::{ChannelIndex, World};
use stats::stream::Consumer;

use crate::caller::{Answer, Call, Submit, report, resolve, route};
use crate::shop;

/// What happens within this time happens at once.
const TICK: Duration = Duration::from_millis(20);
/// How long a customer waits for a payment to go through.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long after its death a worker's successor looks at what it left.
const SUCCESSOR: Duration = Duration::from_secs(20);
/// How long a caller waits before it makes a call again whose answer was lost.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a router dies.
const ROUTER_LIVES: Duration = Duration::from_secs(7);

/// Chances of what goes wrong besides the providers.
const CLICKS_TWICE: f64 = 0.03;
const DIES_BEFORE_SUBMIT: f64 = 0.003;
const DIES_AFTER_SUBMIT: f64 = 0.003;
const ANSWER_LOST: f64 = 0.005;
const NOTICE_COMES: f64 = 0.7;

/// How a play went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) payments: u32,
    /// Paid, and held for paid by the shop.
    pub(crate) succeeded: u32,
    pub(crate) double_charges: u32,
    pub(crate) charged_without_order: u32,
    /// Held for paid, and not charged.
    pub(crate) wrongly_ordered: u32,
    pub(crate) unsettled: u32,
    pub(crate) submits: u32,
    pub(crate) second_clicks: u32,
    pub(crate) lost_answers: u32,
    pub(crate) deaths: u32,
    pub(crate) unknown: u32,
}

impl Score {
    pub(crate) fn success_percent(&self) -> f64 {
        100.0 * f64::from(self.succeeded) / f64::from(self.payments)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.payments += other.payments;
        self.succeeded += other.succeeded;
        self.double_charges += other.double_charges;
        self.charged_without_order += other.charged_without_order;
        self.wrongly_ordered += other.wrongly_ordered;
        self.unsettled += other.unsettled;
        self.submits += other.submits;
        self.second_clicks += other.second_clicks;
        self.lost_answers += other.lost_answers;
        self.deaths += other.deaths;
        self.unknown += other.unknown;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} payments, {:.2} % succeeded, {} charged twice, {} charged without an order, {} unsettled; {} submits, \
             {} unknown, {} second clicks, {} answers lost, {} workers died",
            self.payments,
            self.success_percent(),
            self.double_charges,
            self.charged_without_order,
            self.unsettled,
            self.submits,
            self.unknown,
            self.second_clicks,
            self.lost_answers,
            self.deaths
        )
    }
}

/// What happens to the payment of a shopper.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few of them at a time")]
enum Event {
    /// A worker asks where attempt `.0` goes.
    Ask(u32, u32),
    /// A submit is made.
    Submit(Submit),
    /// The answer to a submit is there, or its time is over.
    Told(Submit, Option<(OutcomeClass, Arc<str>)>, Duration),
    /// A worker asks the provider what became of a submit, for the `.2`-th time.
    Query(Submit, Vec<u8>, usize),
    /// The provider says by itself that it was paid.
    Notice(String),
    /// A call whose answer was lost is made again.
    Call(Call, Then),
}

/// What an answer is for.
#[derive(Clone, Debug)]
enum Then {
    Asked(u32, u32),
    Reported(Submit),
    Resolved(Submit),
}

/// What the shop holds of a payment.
#[derive(Debug, Default)]
struct Order {
    paid: bool,
    /// By attempt key: the last receipt, and where it went.
    receipts: BTreeMap<String, (Vec<u8>, Submit)>,
    workers: u32,
}

/// A play.
pub(crate) struct Play {
    guard: bool,
    now: Duration,
    start: Timestamp,
    clock: Arc<ManualClock>,
    ledger: Arc<MemoryLedger>,
    routers: Vec<(Arc<Routing>, Consumer)>,
    providers: Providers,
    world: Arc<World>,
    shoppers: Vec<Shopper>,
    orders: Vec<Order>,
    agenda: BTreeMap<(Duration, u64), (usize, Event)>,
    number: u64,
    rng: StdRng,
    score: Score,
    calls: Vec<(usize, Call, Then)>,
}

impl Play {
    /// A play of about `payments` payments.
    pub(crate) fn of(seed: u64, payments: u32, guard: bool) -> Self {
        let world = shop::world(seed, payments);
        let start: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let shoppers: Vec<Shopper> = Arrivals::of(Arc::clone(&world)).collect();
        Self {
            guard,
            now: Duration::ZERO,
            start,
            clock: Arc::new(ManualClock::at(start)),
            ledger: Arc::new(MemoryLedger::shared()),
            routers: Vec::new(),
            providers: Providers::of(Arc::clone(&world)),
            orders: shoppers.iter().map(|_| Order::default()).collect(),
            shoppers,
            world,
            agenda: BTreeMap::new(),
            number: 0,
            rng: StdRng::seed_from_u64(seed),
            score: Score::default(),
            calls: Vec::new(),
        }
    }

    /// Plays it to the end.
    pub(crate) fn run(self) -> Score {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(self.play())
    }

    async fn play(mut self) -> Score {
        for router in 0..2 {
            self.routers.push(shop::router(&self.clock, &self.ledger, router));
        }
        for shopper in 0..self.shoppers.len() {
            let at = self.shoppers[shopper].arrives_at;
            self.later(at, shopper, Event::Ask(1, 0));
            if self.hits(CLICKS_TWICE) {
                self.score.second_clicks += 1;
                self.orders[shopper].workers = 1;
                let pause = Duration::from_millis(self.rng.random_range(0..400));
                self.later(at + pause, shopper, Event::Ask(1, 1));
            }
        }
        let mut reborn = ROUTER_LIVES;
        while let Some((&(at, _), _)) = self.agenda.first_key_value() {
            self.now = self.now.max(at);
            self.clock
                .set(self.start + SignedDuration::try_from(self.now).unwrap());
            if self.now >= reborn {
                reborn = self.now + ROUTER_LIVES;
                let which = self.rng.random_range(0..self.routers.len());
                self.routers[which] = shop::router(&self.clock, &self.ledger, self.number);
            }
            self.tick();
            self.call().await;
        }
        self.judge()
    }

    /// Lets everything happen that happens within a tick.
    fn tick(&mut self) {
        let end = self.now + TICK;
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 < end
        {
            let (shopper, event) = entry.remove();
            self.happen(shopper, event);
        }
        // What the statistics are told is not what is looked at here.
        for (_, outcomes) in &mut self.routers {
            let mut events = Vec::new();
            let _ = futures_util::FutureExt::now_or_never(outcomes.next(&mut events, 4_096));
        }
    }

    /// Makes the calls that have gathered, and takes their answers.
    async fn call(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        let mut answers = Vec::with_capacity(calls.len());
        for (_, call, _) in &calls {
            let router = self.rng.random_range(0..self.routers.len());
            answers.push(call.clone().make(Arc::clone(&self.routers[router].0)));
        }
        for (answer, (shopper, call, then)) in join_all(answers).await.into_iter().zip(calls) {
            if self.hits(ANSWER_LOST) {
                // The router died after it had written; whoever asked asks again.
                self.score.lost_answers += 1;
                self.later(self.now + AGAIN, shopper, Event::Call(call, then));
                continue;
            }
            match (answer, then) {
                (Answer::Route(Ok(decision)), Then::Asked(attempt_no, worker)) => {
                    self.decided(shopper, (attempt_no, worker), decision);
                }
                (Answer::Route(Err(reason)), Then::Asked(attempt_no, worker)) => {
                    assert_eq!(reason, "ATTEMPT_TAKEN");
                    self.ask_next(shopper, attempt_no, worker);
                }
                (Answer::Report(answer), Then::Reported(submit)) => {
                    let next = answer.next.clone().unwrap();
                    self.remember(shopper, &submit, &answer.receipt, &answer.state);
                    self.go_on(shopper, submit, &answer.receipt, &next);
                }
                (Answer::Resolve(Some(answer)), Then::Resolved(submit)) => {
                    let next = answer.next.clone().unwrap();
                    self.remember(shopper, &submit, &answer.receipt, &answer.state);
                    self.go_on(shopper, submit, &answer.receipt, &next);
                }
                (Answer::Resolve(None), _) => {}
                (answer, then) => panic!("{answer:?} for {then:?}"),
            }
        }
    }

    fn happen(&mut self, shopper: usize, event: Event) {
        match event {
            Event::Ask(attempt_no, worker) => {
                let request = route(&self.shoppers[shopper], attempt_no, worker, self.guard);
                let request = self.without_what_was_tried(shopper, request);
                let then = Then::Asked(attempt_no, worker);
                self.calls.push((shopper, Call::Route(request), then));
            }
            Event::Submit(submit) => self.submit(shopper, submit),
            Event::Told(submit, told, latency) => {
                let told = told.as_ref().map(|(class, code)| (*class, &**code));
                self.score.unknown += u32::from(told.is_none());
                let report = report(self.name(shopper), &submit, told, latency);
                let then = Then::Reported(submit);
                self.calls.push((shopper, Call::Report(report), then));
            }
            Event::Query(submit, receipt, number) => self.query(shopper, submit, receipt, number),
            Event::Notice(key) => {
                // A shop that does not know the attempt yet finds it when it asks.
                let Some((receipt, submit)) = self.orders[shopper].receipts.get(&key).cloned() else {
                    return;
                };
                // A notice may be older than what was done since: the provider is asked what holds now.
                let channel = self.channel(&submit);
                if self.providers.query(channel, &key, self.now) != QueryResult::Paid {
                    return;
                }
                let paid = v1::Resolution::Succeeded;
                let told = resolve(&receipt, paid, v1::ResolutionSource::Notice);
                self.calls
                    .push((shopper, Call::Resolve(told), Then::Resolved(submit)));
            }
            Event::Call(call, then) => self.calls.push((shopper, call, then)),
        }
    }

    /// A careless shop says itself which channels it has tried; the guard knows.
    fn without_what_was_tried(&self, shopper: usize, request: v1::RouteRequest) -> v1::RouteRequest {
        let tried = self.orders[shopper].receipts.values();
        v1::RouteRequest {
            exclude_channels: if self.guard {
                Vec::new()
            } else {
                tried.map(|(_, submit)| submit.channel.clone()).collect()
            },
            ..request
        }
    }

    fn decided(&mut self, shopper: usize, (attempt_no, worker): (u32, u32), decision: v1::RouteResponse) {
        match decision.action() {
            v1::Action::Submit => {
                let channel = decision.channel.unwrap();
                let submit = Submit {
                    attempt_no,
                    channel: channel.channel_id,
                    key: channel.attempt_key,
                    token: decision.decision_token,
                    worker,
                    ..Submit::default()
                };
                self.later(self.now, shopper, Event::Submit(submit));
            }
            v1::Action::WaitAndQuery => {
                let open = decision.open_attempt.unwrap();
                let channel = open.channel.unwrap();
                let submit = Submit {
                    attempt_no: open.attempt_no,
                    channel: channel.channel_id,
                    key: channel.attempt_key,
                    token: open.decision_token,
                    worker,
                    ..Submit::default()
                };
                if !open.receipt.is_empty() {
                    self.later(self.now, shopper, Event::Query(submit, open.receipt, 0));
                } else if submit.token.is_empty() {
                    // Somebody may be at it: look again.
                    let again = Duration::from_secs(5);
                    self.later(self.now + again, shopper, Event::Ask(attempt_no, worker));
                } else {
                    self.take_over(shopper, submit);
                }
            }
            v1::Action::Stop | v1::Action::OfferMethods => {
                if decision.explanation.unwrap().halted_because == "paid" {
                    self.orders[shopper].paid = true;
                }
            }
            v1::Action::Unspecified => unreachable!(),
        }
    }

    fn submit(&mut self, shopper: usize, submit: Submit) {
        if self.hits(DIES_BEFORE_SUBMIT) {
            return self.die(shopper, submit.attempt_no);
        }
        self.score.submits += 1;
        let channel = self.channel(&submit);
        let mut payment = self.shoppers[shopper].payment.clone();
        payment.attempt_no = submit.attempt_no;
        let came = self
            .providers
            .submit(channel, &submit.key, &payment, self.now)
            .answer;
        let timeout = self.world.timeout(channel);
        if let Some(answer) = &came
            && answer.class == OutcomeClass::Success
        {
            if let Some(gap) = answer.repeated_after {
                self.notice(shopper, &submit, answer.after + gap);
            }
            if answer.after > timeout {
                self.notice(shopper, &submit, answer.after);
            }
        }
        if self.hits(NOTICE_COMES)
            && self
                .providers
                .query(channel, &submit.key, self.now + Duration::from_secs(30))
                == QueryResult::Paid
        {
            let after = Duration::from_secs_f64(30.0 + self.rng.random_range(0.0..300.0));
            self.notice(shopper, &submit, after);
        }
        if self.hits(DIES_AFTER_SUBMIT) {
            return self.die(shopper, submit.attempt_no);
        }
        let in_time = came.filter(|answer| answer.after <= timeout);
        let latency = in_time.as_ref().map_or(timeout, |answer| answer.after);
        let told = in_time.map(|answer| (answer.class, answer.code));
        self.later(self.now + latency, shopper, Event::Told(submit, told, latency));
    }

    fn notice(&mut self, shopper: usize, submit: &Submit, after: Duration) {
        self.later(self.now + after, shopper, Event::Notice(submit.key.clone()));
    }

    /// The worker is gone; another one looks after its payments later. It knows of the order, and of nothing else.
    fn die(&mut self, shopper: usize, attempt_no: u32) {
        self.score.deaths += 1;
        self.orders[shopper].workers += 1;
        let successor = self.orders[shopper].workers;
        self.later(self.now + SUCCESSOR, shopper, Event::Ask(attempt_no, successor));
    }

    /// Settles an attempt that nobody has reported: as it is at the provider, and closed there when it is nothing.
    fn take_over(&mut self, shopper: usize, submit: Submit) {
        let paid = self.is_paid_or_closed(shopper, &submit);
        let told = paid.then_some((OutcomeClass::Success, ""));
        let report = report(self.name(shopper), &submit, told, Duration::ZERO);
        self.calls
            .push((shopper, Call::Report(report), Then::Reported(submit)));
    }

    /// Whether the provider has charged; what it has not charged it never will.
    fn is_paid_or_closed(&mut self, shopper: usize, submit: &Submit) -> bool {
        let channel = self.channel(submit);
        if self.providers.query(channel, &submit.key, self.now) == QueryResult::Paid {
            return true;
        }
        let payment = &self.shoppers[shopper].payment;
        self.providers.reverse(channel, &submit.key, payment, self.now);
        false
    }

    fn query(&mut self, shopper: usize, submit: Submit, receipt: Vec<u8>, number: usize) {
        let channel = self.channel(&submit);
        let query = v1::ResolutionSource::Query;
        let found = self.providers.query(channel, &submit.key, self.now);
        let (resolution, source) = match found {
            QueryResult::Paid => (v1::Resolution::Succeeded, query),
            QueryResult::NotPaid => (v1::Resolution::NotProcessed, query),
            // Not found may mean not yet: it is asked again, and closed in the end.
            QueryResult::Processing | QueryResult::NotFound if number < 3 => {
                let again = Event::Query(submit, receipt, number + 1);
                return self.later(self.now + Duration::from_secs(5), shopper, again);
            }
            QueryResult::Processing | QueryResult::NotFound => {
                let payment = &self.shoppers[shopper].payment;
                self.providers.reverse(channel, &submit.key, payment, self.now);
                (v1::Resolution::Reversed, v1::ResolutionSource::Reversal)
            }
        };
        let told = resolve(&receipt, resolution, source);
        self.calls
            .push((shopper, Call::Resolve(told), Then::Resolved(submit)));
    }

    fn remember(&mut self, shopper: usize, submit: &Submit, receipt: &[u8], state: &str) {
        let order = &mut self.orders[shopper];
        order
            .receipts
            .insert(submit.key.clone(), (receipt.to_vec(), submit.clone()));
        order.paid |= matches!(state, "succeeded" | "confirmed_succeeded");
        assert!(
            !self.guard || state != "late_success",
            "nobody says no before it is sure"
        );
    }

    fn go_on(&mut self, shopper: usize, submit: Submit, receipt: &[u8], next: &v1::NextStep) {
        let waits = self.now < self.shoppers[shopper].arrives_at + PATIENCE;
        match next.action() {
            v1::NextAction::RetrySame if waits => {
                let not_before = proto::time::from_wire(next.not_before.as_ref().unwrap()).unwrap();
                let at = Duration::try_from(self.start.duration_until(not_before)).unwrap();
                let retry = Submit {
                    retry: true,
                    retry_of: receipt.to_vec(),
                    ..submit
                };
                self.later(at.max(self.now), shopper, Event::Submit(retry));
            }
            v1::NextAction::Switch if waits => self.ask_next(shopper, submit.attempt_no, submit.worker),
            v1::NextAction::QueryFirst if !self.guard && waits => {
                // The unsafe switch: another channel might be quicker than an answer.
                self.ask_next(shopper, submit.attempt_no, submit.worker);
            }
            v1::NextAction::QueryFirst => {
                let at = next.query_at.first().and_then(proto::time::from_wire);
                let at = at.map(|at| Duration::try_from(self.start.duration_until(at)).unwrap_or_default());
                let at = at.unwrap_or(self.now).max(self.now);
                self.later(at, shopper, Event::Query(submit, receipt.to_vec(), 0));
            }
            v1::NextAction::RetrySame => {
                // Registered, and the customer is gone: it must not stay open.
                let retry = Submit {
                    retry: true,
                    retry_of: receipt.to_vec(),
                    ..submit
                };
                let told = Some((OutcomeClass::TechnicalFailure, "CONNECT_FAILED"));
                let report = report(self.name(shopper), &retry, told, Duration::ZERO);
                self.calls
                    .push((shopper, Call::Report(report), Then::Reported(retry)));
            }
            v1::NextAction::None
            | v1::NextAction::Switch
            | v1::NextAction::AskCustomer
            | v1::NextAction::Stop
            | v1::NextAction::Unspecified => {}
        }
    }

    fn ask_next(&mut self, shopper: usize, attempt_no: u32, worker: u32) {
        if attempt_no < 3 {
            self.later(self.now, shopper, Event::Ask(attempt_no + 1, worker));
        }
    }

    /// Compares what the shop believes with the books of the providers.
    fn judge(mut self) -> Score {
        let end = self.now + Duration::from_hours(1);
        let numbers: HashMap<_, _> = self
            .shoppers
            .iter()
            .enumerate()
            .map(|(number, shopper)| (shopper.payment.payment.clone(), number))
            .collect();
        let audit = self
            .providers
            .audit(end, |_, payment| self.orders[numbers[payment]].paid);
        let count = |number: usize| u32::try_from(number).unwrap();
        let ordered = self.orders.iter().filter(|order| order.paid).count();
        let succeeded = audit.charged_payments - audit.charged_without_order;
        self.score.payments = count(self.shoppers.len());
        self.score.succeeded = count(succeeded);
        self.score.double_charges = count(audit.double_charges);
        self.score.charged_without_order = count(audit.charged_without_order);
        self.score.wrongly_ordered = count(ordered.saturating_sub(succeeded));
        self.score.unsettled = count(self.ledger.unsettled());
        self.score
    }

    fn name(&self, shopper: usize) -> &str {
        self.shoppers[shopper].payment.payment.as_str()
    }

    fn channel(&self, submit: &Submit) -> ChannelIndex {
        self.world.index_of(&submit.channel.parse().unwrap()).unwrap()
    }

    fn hits(&mut self, chance: f64) -> bool {
        self.rng.random_bool(chance)
    }

    fn later(&mut self, at: Duration, shopper: usize, event: Event) {
        self.number += 1;
        self.agenda.insert((at, self.number), (shopper, event));
    }
}
