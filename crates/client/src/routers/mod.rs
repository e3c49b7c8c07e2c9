//! The routers of one Payroute: asked in turn, and the next one when one does not answer or is slow.
//!
//! Any router serves any call. To route again is safe, because nothing was submitted on an answer that never came, and a
//! guarded attempt is registered under its own key; to report again is, because an outcome counts once however often it
//! is told. So a call that is not answered soon is made at another router as well, and the first answer is taken.

mod allowance;
mod way;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use proto::v1;
use tokio::time::{Instant, sleep};
use tonic::{Response, Status};

use crate::port::{Payroute, may_pass};
use crate::settings::Connecting;
use allowance::Allowance;
use way::{RoutingClient, Way};

use crate::error::BuildError;

/// So many times longer a call that writes may take before it is slow.
const WRITING: u32 = 4;

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hurry {
    /// Another router is asked as well when there is no answer after this time.
    pub(crate) hedge_after: Duration,
    /// A router that has not answered by then is stuck, or gone without a word.
    pub(crate) answer_within: Duration,
}

/// The routers.
#[derive(Debug)]
pub(crate) struct Routers {
    ways: Vec<Way>,
    next: AtomicUsize,
    hurry: Hurry,
    allowance: Allowance,
}

impl Routers {
    /// Routers that are connected to when they are needed, and again when a connection is lost.
    ///
    /// # Errors
    /// When an address is none, or there is none.
    pub(crate) fn at(connecting: &Connecting, hurry: Hurry) -> Result<Self, BuildError> {
        if connecting.routers.is_empty() {
            return Err(BuildError::NoRouter);
        }
        let ways = connecting
            .routers
            .iter()
            .map(|address| Way::to(address, connecting));
        Ok(Self {
            ways: ways.collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
            hurry,
            allowance: Allowance::default(),
        })
    }

    /// Makes a call at one router after the other until one answers, or refuses.
    async fn ask<T, F>(&self, hurry: Hurry, call: impl Fn(RoutingClient) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut turn = self.in_turn().into_iter();
        let mut asked = FuturesUnordered::new();
        let mut unanswered = Status::unavailable("no router was asked");
        let mut next = turn.next();
        let first = next.map(Way::address);
        self.allowance.earn();
        loop {
            if let Some(way) = next.take() {
                asked.push(way.answer(call(way.client()), hurry));
            }
            tokio::select! {
                answer = asked.next() => match answer {
                    None => return Err(unanswered),
                    Some(Err(status)) if may_pass(&status) => {
                        unanswered = status;
                        next = turn.next();
                    }
                    Some(answer) => return answer,
                },
                // Another connection to the same router would only double its load.
                () = sleep(hurry.hedge_after), if turn.as_slice().iter().any(|way| Some(way.address()) != first) => {
                    if self.allowance.spend() {
                        next = turn.find(|way| Some(way.address()) != first);
                    }
                }
            }
        }
    }

    /// A call that waits for a disk is given more time before another router is troubled with the same.
    fn writing(&self) -> Hurry {
        Hurry {
            hedge_after: self.hurry.hedge_after * WRITING,
            ..self.hurry
        }
    }

    /// All of them, beginning with another one each time; those that rest stand at the end. One whose rest is over is
    /// tried by one call, and rests for the others until that call is answered: it may be stuck, and hold them all.
    fn in_turn(&self) -> Vec<&Way> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.ways.len();
        let turn = self
            .ways
            .iter()
            .cycle()
            .skip(first.checked_rem(count).unwrap_or(0));
        let mut turn: Vec<&Way> = turn.take(count).collect();
        let now = Instant::now();
        turn.sort_by_key(|way| way.rests(now));
        if let Some(tried) = turn.first() {
            tried.try_out(now, self.hurry.answer_within);
        }
        turn
    }
}

impl Payroute for Routers {
    async fn route(&self, request: &v1::RouteRequest) -> Result<v1::RouteResponse, Status> {
        self.ask(self.hurry, |mut client| {
            let request = request.clone();
            async move { client.route(request).await }
        })
        .await
    }

    async fn report(&self, request: &v1::ReportOutcomeRequest) -> Result<v1::ReportOutcomeResponse, Status> {
        self.ask(self.writing(), |mut client| {
            let request = request.clone();
            async move { client.report_outcome(request).await }
        })
        .await
    }

    async fn resolve(
        &self,
        request: &v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, Status> {
        self.ask(self.writing(), |mut client| {
            let request = request.clone();
            async move { client.resolve_attempt(request).await }
        })
        .await
    }
}

impl Routers {
    /// Everything that is known of a payment.
    pub(crate) async fn payment(
        &self,
        request: &v1::GetPaymentRequest,
    ) -> Result<v1::GetPaymentResponse, Status> {
        self.ask(self.hurry, |mut client| {
            let request = request.clone();
            async move { client.get_payment(request).await }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const HURRY: Hurry = Hurry {
        hedge_after: Duration::from_millis(50),
        answer_within: Duration::from_secs(2),
    };

    fn routers(addresses: &[&str]) -> Routers {
        let connecting = Connecting {
            routers: addresses.iter().map(|address| (*address).to_owned()).collect(),
            ..Connecting::default()
        };
        Routers::at(&connecting, HURRY).unwrap()
    }

    fn firsts(routers: &Routers, count: usize) -> Vec<String> {
        let first = |_| routers.in_turn()[0].address().to_owned();
        (0..count).map(first).collect()
    }

    #[tokio::test]
    async fn each_router_is_the_first_in_its_turn_unless_it_rests() {
        let routers = routers(&["a:1", "b:1", "c:1"]);
        assert_eq!(firsts(&routers, 3), ["a:1", "b:1", "c:1"]);
        routers.ways[1].rest();
        assert_eq!(firsts(&routers, 3), ["a:1", "c:1", "c:1"]);
        assert_eq!(routers.in_turn().last().unwrap().address(), "b:1");
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_tries_a_router_whose_rest_is_over() {
        let routers = routers(&["a:1", "b:1"]);
        routers.ways[0].rest();
        sleep(Duration::from_millis(1_001)).await;
        assert_eq!(firsts(&routers, 4), ["a:1", "b:1", "b:1", "b:1"]);
    }

    #[tokio::test]
    async fn a_broken_connection_may_pass_and_a_refusal_may_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let routers = routers(&[&address]);
        let hung_up = std::thread::spawn(move || drop(listener.accept()));
        let status = routers.route(&v1::RouteRequest::default()).await.unwrap_err();
        hung_up.join().unwrap();
        assert!(may_pass(&status), "{status:?}");
        assert!(routers.ways[0].rests(Instant::now()));
        assert!(!may_pass(&Status::already_exists("reported otherwise")));
        assert!(!may_pass(&Status::unauthenticated("who is it?")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_router_is_not_waited_for_and_asked_last_for_a_while() {
        let routers = routers(&["slow:1", "fast:1"]);
        let began = Instant::now();
        let asked = parking_lot::Mutex::new(0);
        let answer = routers
            .ask(HURRY, |_| {
                let nth = {
                    let mut asked = asked.lock();
                    *asked += 1;
                    *asked
                };
                async move {
                    let takes = if nth == 1 { 1_000 } else { 1 };
                    sleep(Duration::from_millis(takes)).await;
                    Ok(Response::new(nth))
                }
            })
            .await;
        assert_eq!(answer.unwrap(), 2);
        assert!(
            began.elapsed() < Duration::from_millis(60),
            "{:?}",
            began.elapsed()
        );
        assert!(routers.ways[0].rests(Instant::now()) && !routers.ways[1].rests(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_router_that_never_answers_is_given_up() {
        let routers = routers(&["stuck:1"]);
        let stuck = |_| std::future::pending::<Result<Response<()>, Status>>();
        let status = routers.ask(HURRY, stuck).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }

    #[test]
    fn what_is_not_an_address_is_named() {
        for wrong in ["no where", "http://"] {
            let connecting = Connecting {
                routers: vec![wrong.to_owned()],
                ..Connecting::default()
            };
            let said = Routers::at(&connecting, HURRY).unwrap_err().to_string();
            assert!(said.contains(&format!("`{wrong}` is not an address")), "{said}");
        }
    }
}
