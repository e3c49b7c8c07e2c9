//! A Payroute of three channels, and providers that keep the true charges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::catalogue::Catalogue;
use domain::clock::{Clock, SystemClock};
use jiff::SignedDuration;
use parking_lot::Mutex;
use proto::v1;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::channels::{Channels, Found, Reversal};
use crate::conclusion::Conclusion;
use crate::confirming::Ear;
use crate::courier::{Courier, Plan};
use crate::course::advice::{Case, Step};
use crate::course::{Course, Desk, Judge};
use crate::error::PayError;
use crate::observer::Silent;
use crate::payment::Payment;
use crate::port::Payroute;
use crate::settings::{Manner, Schedule};
use crate::submit::{Submit, Submitted};

const NAMES: [&str; 3] = ["a", "b", "c"];
const TIMEOUT_MS: u32 = 1_000;

/// How the routers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Router {
    /// They answer in a millisecond.
    Prompt,
    /// They answer later.
    Slow(Duration),
    /// Nobody answers.
    Gone,
    /// They route, and take no outcome.
    Reads,
}

/// How a channel is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    code: &'static str,
    after: Duration,
    /// Whether money moves.
    charges: bool,
}

impl Channel {
    pub(super) const fn answering(code: &'static str, after_ms: u64) -> Self {
        Self {
            code,
            after: Duration::from_millis(after_ms),
            charges: matches!(code.as_bytes(), b"OK" | b"NEVER_HEARD_OF" | b"AWAITING"),
        }
    }

    /// The answer is lost.
    pub(super) const fn silent(charges: bool) -> Self {
        Self {
            code: "OK",
            after: Duration::from_hours(1),
            charges,
        }
    }

    pub(super) const fn panicking() -> Self {
        Self {
            code: "PANIC",
            after: Duration::ZERO,
            charges: true,
        }
    }
}

/// What really happened.
#[derive(Debug, Default)]
struct Books {
    submits: usize,
    /// Attempts that may have charged, as far as the caller was told, by their keys.
    open: BTreeMap<String, bool>,
    charged: BTreeMap<String, bool>,
    told: Vec<String>,
    faults: Vec<String>,
}

struct Scene {
    channels: [Channel; 3],
    router: Mutex<Router>,
    vanishes: Mutex<bool>,
    books: Mutex<Books>,
    judge: Judge,
}

pub(super) struct World {
    scene: Arc<Scene>,
    desk: Arc<Desk<Scene>>,
    payment: Payment,
}

fn judge() -> Judge {
    Judge::new(Arc::new(Catalogue::built_in().unwrap()), StdRng::seed_from_u64(1))
}

impl World {
    pub(super) fn with(channels: [Channel; 3]) -> Self {
        let scene = Arc::new(Scene {
            channels,
            router: Mutex::new(Router::Prompt),
            vanishes: Mutex::new(false),
            books: Mutex::default(),
            judge: judge(),
        });
        let payment = Payment::of("shop", "ord_1")
            .amount(1_999, "CNY")
            .method("wechat_pay");
        Self {
            desk: desk(&scene, 100),
            scene,
            payment: payment.build().unwrap(),
        }
    }

    pub(super) fn guarded(mut self) -> Self {
        self.payment.request.guard = true;
        self
    }

    pub(super) fn of_capacity(self, capacity: usize) -> Self {
        Self {
            desk: desk(&self.scene, capacity),
            ..self
        }
    }

    pub(super) fn set(&self, router: Router) {
        *self.scene.router.lock() = router;
        *self.scene.vanishes.lock() = false;
    }

    pub(super) fn vanish_after_route(&self) {
        *self.scene.vanishes.lock() = true;
    }

    pub(super) async fn weather(&self, mut changes: Vec<(u64, Router)>) {
        changes.sort_by_key(|change| change.0);
        let began = Instant::now();
        for (at, router) in changes {
            tokio::time::sleep_until(began + Duration::from_millis(at)).await;
            self.set(router);
        }
    }

    pub(super) async fn pay(&self) -> Result<Conclusion, PayError> {
        let (tell, news) = mpsc::channel(8);
        let absent = self.desk.closing.child_token();
        let request = self.payment.request.clone();
        let course = Course::new(
            Arc::clone(&self.desk),
            Providers(Arc::clone(&self.scene)),
            request,
            absent.clone(),
            tell,
        );
        tokio::spawn(course.run());
        let patience = self.desk.manner.confirm_within;
        Ear::new(news, absent.drop_guard()).conclusion(patience).await
    }

    pub(super) async fn close(&self) -> usize {
        let left = self.desk.courier.close(Duration::from_secs(5)).await;
        self.desk.closing.cancel();
        left
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.scene.books.lock().told.clone()
    }

    pub(super) fn submits(&self) -> usize {
        self.scene.books.lock().submits
    }

    /// No rule was broken, and what the caller was told is true.
    pub(super) fn check_books(&self, conclusion: Option<&Result<Conclusion, PayError>>) {
        let books = self.scene.books.lock();
        assert_eq!(books.faults, Vec::<String>::new());
        let charged = books.charged.values().filter(|charged| **charged).count();
        assert!(charged <= 1, "charged {charged} times");
        for tried in conclusion
            .iter()
            .filter_map(|one| one.as_ref().ok())
            .flat_map(Conclusion::tried)
        {
            let within = self.desk.manner.failover_within;
            assert!(tried.failover.is_none_or(|took| took <= within), "{tried:?}");
        }
        match conclusion {
            Some(Ok(Conclusion::Paid(_))) => assert_eq!(charged, 1),
            Some(Ok(Conclusion::NotPaid(_) | Conclusion::OfferMethods(_))) => assert_eq!(charged, 0),
            Some(Ok(Conclusion::Unsettled(_) | Conclusion::Confirming(_))) | None => {}
            Some(Err(_)) => assert_eq!(books.submits, 0),
        }
    }
}

fn desk(scene: &Arc<Scene>, capacity: usize) -> Arc<Desk<Scene>> {
    let plan = Plan {
        payroute: Arc::clone(scene),
        observer: Arc::new(Silent),
        capacity,
        rng: StdRng::seed_from_u64(2),
    };
    Arc::new(Desk {
        payroute: Arc::clone(scene),
        courier: Courier::new(plan, None, Handle::current()).unwrap(),
        judge: judge(),
        manner: Manner {
            route_within: Duration::from_secs(2),
            failover_within: Duration::from_millis(500),
            confirm_within: Duration::from_millis(500),
            schedule: Schedule::Provider,
        },
        clock: Arc::new(SystemClock),
        closing: CancellationToken::new(),
    })
}

impl Scene {
    async fn answers(&self, takes_outcomes: bool) -> Result<(), Status> {
        let router = *self.router.lock();
        match router {
            Router::Prompt => sleep(Duration::from_millis(1)).await,
            Router::Slow(time) => sleep(time).await,
            Router::Reads if takes_outcomes => return Err(Status::unavailable("it only routes")),
            Router::Reads => {}
            Router::Gone => return Err(Status::unavailable("nobody is there")),
        }
        Ok(())
    }

    fn choice(name: &str) -> v1::ChannelChoice {
        v1::ChannelChoice {
            channel_id: name.to_owned(),
            timeout_ms: TIMEOUT_MS,
            attempt_key: format!("key_{name}"),
            ..v1::ChannelChoice::default()
        }
    }

    fn channel(&self, id: &str) -> Channel {
        let place = NAMES.iter().position(|name| *name == id).unwrap();
        self.channels[place]
    }
}

fn at(delay_ms: u64) -> prost_types::Timestamp {
    let delay = SignedDuration::from_millis(i64::try_from(delay_ms).unwrap());
    proto::time::to_wire(SystemClock.now().checked_add(delay).unwrap())
}

fn next(action: v1::NextAction) -> v1::NextStep {
    v1::NextStep {
        action: action.into(),
        ..v1::NextStep::default()
    }
}

fn query() -> v1::NextStep {
    v1::NextStep {
        query_at: [1_000, 3_000, 7_000].map(at).to_vec(),
        reverse_not_before: Some(at(8_000)),
        ..next(v1::NextAction::QueryFirst)
    }
}

impl Payroute for Scene {
    async fn route(&self, request: &v1::RouteRequest) -> Result<v1::RouteResponse, Status> {
        self.answers(false).await?;
        let mut left = NAMES
            .into_iter()
            .filter(|name| !request.exclude_channels.iter().any(|out| out == name));
        if *self.vanishes.lock() {
            *self.router.lock() = Router::Gone;
        }
        let Some(first) = left.next() else {
            return Ok(v1::RouteResponse {
                action: v1::Action::Stop.into(),
                ..v1::RouteResponse::default()
            });
        };
        Ok(v1::RouteResponse {
            action: v1::Action::Submit.into(),
            decision_token: b"token".to_vec(),
            channel: Some(Self::choice(first)),
            fallbacks: left
                .map(|name| v1::Fallback {
                    channel: Some(Self::choice(name)),
                    switch_kind: v1::SwitchKind::Silent.into(),
                })
                .collect(),
            ..v1::RouteResponse::default()
        })
    }

    async fn report(&self, request: &v1::ReportOutcomeRequest) -> Result<v1::ReportOutcomeResponse, Status> {
        self.answers(true).await?;
        let what = match (request.result(), &*request.code) {
            (v1::Result::Succeeded, _) => "OK",
            (_, "") => &request.transport_event,
            (_, code) => code,
        };
        let told = format!("{}: {what}", request.channel_id);
        let mut books = self.books.lock();
        if !books.told.contains(&told) || request.attempt_id.ends_with("-2") {
            books.told.push(told);
        }
        drop(books);
        let advice = self.judge.advice(&Case {
            report: request,
            request: &v1::RouteRequest::default(),
            tried: 1,
            fallbacks: NAMES.len() - 1 - NAMES.iter().position(|name| *name == request.channel_id).unwrap(),
            used_ms: 0,
            now: SystemClock.now(),
        });
        let step = match advice.step {
            _ if request.code == "RATE_LIMITED" && request.retry_of.is_empty() => v1::NextStep {
                not_before: Some(at(100)),
                ..next(v1::NextAction::RetrySame)
            },
            Step::Done => next(v1::NextAction::None),
            Step::Retry(..) | Step::Switch => next(v1::NextAction::Switch),
            Step::Query(_) => query(),
            Step::Ask => next(v1::NextAction::AskCustomer),
            Step::Stop => next(v1::NextAction::Stop),
        };
        let waits = request.result() == v1::Result::AwaitingCustomer;
        Ok(v1::ReportOutcomeResponse {
            state: if waits { "awaiting_customer" } else { "" }.to_owned(),
            next: Some(step),
            customer_message: Some(advice.message),
            receipt: request.attempt_id.clone().into_bytes(),
            ..v1::ReportOutcomeResponse::default()
        })
    }

    async fn resolve(
        &self,
        request: &v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, Status> {
        self.answers(true).await?;
        let attempt = String::from_utf8(request.receipt.clone()).unwrap();
        let channel = attempt
            .trim_start_matches("key_")
            .split('-')
            .next()
            .unwrap()
            .to_owned();
        let told = format!("{channel} resolved: {:?}", request.resolution());
        let mut books = self.books.lock();
        if !books.told.contains(&told) {
            books.told.push(told);
        }
        Ok(v1::ResolveAttemptResponse {
            next: Some(match request.resolution() {
                v1::Resolution::Succeeded => next(v1::NextAction::None),
                v1::Resolution::NotProcessed | v1::Resolution::Reversed => next(v1::NextAction::Switch),
                v1::Resolution::StillUnknown => query(),
                _ => next(v1::NextAction::AskCustomer),
            }),
            receipt: request.receipt.clone(),
            ..v1::ResolveAttemptResponse::default()
        })
    }
}

/// The caller's integrations.
struct Providers(Arc<Scene>);

impl Channels for Providers {
    async fn submit(&self, submit: &Submit) -> Submitted {
        let channel = self.0.channel(&submit.channel_id);
        let key = &submit.attempt_key;
        {
            let mut books = self.0.books.lock();
            books.submits += 1;
            let others: Vec<_> = books
                .open
                .iter()
                .filter(|(other, open)| **open && *other != key)
                .collect();
            let fault = (!others.is_empty()).then(|| format!("{key} was submitted beside {others:?}"));
            books.faults.extend(fault);
            books.open.insert(key.clone(), true);
            books.charged.insert(key.clone(), channel.charges);
        }
        assert_ne!(channel.code, "PANIC", "a mistake of the caller");
        sleep(channel.after).await;
        let submitted = match channel.code {
            "OK" => Submitted::succeeded(),
            "AWAITING" => Submitted::awaiting_customer(),
            code @ ("INSUFFICIENT_FUNDS" | "NEVER_HEARD_OF") => Submitted::declined(code),
            code => Submitted::failed(code),
        };
        let settled = matches!(
            channel.code,
            "CHANNEL_MAINTENANCE" | "RATE_LIMITED" | "SYSTEM_BUSY" | "INSUFFICIENT_FUNDS"
        );
        self.0.books.lock().open.insert(key.clone(), !settled);
        submitted.provider("payroute")
    }

    async fn query(&self, submit: &Submit) -> Found {
        sleep(Duration::from_millis(10)).await;
        let mut books = self.0.books.lock();
        books.open.insert(submit.attempt_key.clone(), false);
        if books.charged[&submit.attempt_key] {
            Found::Paid
        } else {
            Found::NotProcessed
        }
    }

    async fn reverse(&self, submit: &Submit) -> Reversal {
        let mut books = self.0.books.lock();
        books.open.insert(submit.attempt_key.clone(), false);
        books.charged.insert(submit.attempt_key.clone(), false);
        Reversal::Reversed
    }
}
