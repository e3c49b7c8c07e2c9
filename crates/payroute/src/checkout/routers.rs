//! The routers of one Payroute, as a caller uses them: in turn, and the next one when one does not answer.
//!
//! Any router serves any call. To route again is safe, because nothing was submitted on an answer that never came; and
//! to report again is, because an outcome counts once however often it is told. So a call whose fate is not known is
//! made again, word for word.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use proto::v1;
use proto::v1::routing_service_client::RoutingServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::bearer::Bearer;

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A router that has not answered by then is stuck, or gone without a word. Outcomes are durable in milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A router that did not answer is asked last for so long.
const REST: Duration = Duration::from_secs(1);

/// Pauses after all routers were asked in vain: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A client of one router.
type Client = RoutingServiceClient<InterceptedService<Channel, Bearer>>;

/// How long routers are asked again when none of them answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Each is asked once.
    Once,
    /// To route for so long, because somebody stands at the cash desk; to report for ever, because money has moved.
    UntilTold(Duration),
}

/// The routers. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub(crate) struct Routers {
    ways: Arc<[Way]>,
    next: Arc<AtomicUsize>,
    patience: Patience,
}

/// A connection to a router.
struct Way {
    address: String,
    client: Client,
    /// Until when it is asked last, after it did not answer.
    rests_until: Mutex<Option<Instant>>,
}

impl Routers {
    /// The routers at `addresses`, `HOST:PORT` each; an address may stand there several times for as many connections.
    /// Connections are made when they are needed, and again when they are lost.
    ///
    /// # Errors
    /// When an address is none, or there is none.
    pub(crate) fn at(addresses: &[String], bearer: &Bearer, patience: Patience) -> anyhow::Result<Self> {
        anyhow::ensure!(!addresses.is_empty(), "no router to ask");
        let ways = addresses.iter().map(|address| Way::to(address, bearer));
        Ok(Self {
            ways: ways.collect::<anyhow::Result<_>>()?,
            next: Arc::default(),
            patience,
        })
    }

    /// Which channel to use.
    ///
    /// # Errors
    /// When the call is refused, or patience is over.
    pub(crate) async fn route(&self, request: &v1::RouteRequest) -> Result<v1::RouteResponse, Status> {
        let patience = match self.patience {
            Patience::Once => Some(Duration::ZERO),
            Patience::UntilTold(route) => Some(route),
        };
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.route(request).await }
        };
        self.ask(patience, call, may_pass).await
    }

    /// Tells what became of an attempt.
    ///
    /// # Errors
    /// As for [`Routers::route`].
    pub(crate) async fn report(
        &self,
        request: &v1::ReportOutcomeRequest,
    ) -> Result<v1::ReportOutcomeResponse, Status> {
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.report_outcome(request).await }
        };
        self.ask(self.patience_to_tell(), call, may_pass).await
    }

    /// Tells what is known now of an attempt that was open. It was acknowledged, so a router that does not know it will:
    /// while the ledger is down, only the router that heard of it does.
    ///
    /// # Errors
    /// As for [`Routers::route`].
    pub(crate) async fn resolve(
        &self,
        request: &v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, Status> {
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.resolve_attempt(request).await }
        };
        let for_now = |status: &Status| may_pass(status) || status.code() == Code::NotFound;
        self.ask(self.patience_to_tell(), call, for_now).await
    }

    const fn patience_to_tell(&self) -> Option<Duration> {
        match self.patience {
            Patience::Once => Some(Duration::ZERO),
            Patience::UntilTold(_) => None,
        }
    }

    /// Makes a call at one router after the other until one answers, or refuses otherwise than `for_now`, for as long as
    /// `patience` says; `None` is for ever.
    async fn ask<T, F>(
        &self,
        patience: Option<Duration>,
        call: impl Fn(Client) -> F,
        for_now: impl Fn(&Status) -> bool,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let mut unanswered = Status::unavailable("no router was asked");
            for way in self.in_turn() {
                match way.answer(call(way.client.clone())).await {
                    Err(status) if for_now(&status) => unanswered = status,
                    answer => return answer,
                }
            }
            if patience.is_some_and(|patience| began.elapsed() + pause > patience) {
                return Err(unanswered);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
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
        turn.sort_by_key(|way| way.rests_until.lock().is_some_and(|until| until > now));
        if let Some(tried) = turn.first() {
            let mut rests_until = tried.rests_until.lock();
            *rests_until = rests_until.map(|until| until.max(now + ANSWER_WITHIN));
        }
        turn
    }
}

impl Way {
    fn to(address: &str, bearer: &Bearer) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .with_context(|| format!("`{address}` is not an address; expected HOST:PORT"))?;
        let connection = endpoint.connect_timeout(CONNECT_WITHIN).connect_lazy();
        Ok(Self {
            address: address.to_owned(),
            client: RoutingServiceClient::with_interceptor(connection, bearer.clone()),
            rests_until: Mutex::new(None),
        })
    }

    /// Waits for the answer to a call, and remembers whether there was one.
    async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
        let answer = timeout(ANSWER_WITHIN, call).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        let rest = answer
            .as_ref()
            .is_err_and(may_pass)
            .then(|| Instant::now() + REST);
        let rested = std::mem::replace(&mut *self.rests_until.lock(), rest);
        let address = &self.address;
        match (&answer, rested) {
            (Err(status), None) if rest.is_some() => {
                let (code, message) = (status.code(), status.message());
                tracing::warn!(address, ?code, "{address} does not answer: {message}");
            }
            (Ok(_), Some(_)) => tracing::warn!(address, "{address} answers again"),
            _ => {}
        }
        answer.map(Response::into_inner)
    }
}

/// Whether another router, or the same one later, may answer what this one did not. An error that has a source is our
/// own end's, about a connection that broke: whether the call was carried out, nobody knows.
fn may_pass(status: &Status) -> bool {
    let for_now = matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    );
    for_now || std::error::Error::source(status).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address where nobody listens: the port was free a moment ago, and is of this test alone for now.
    fn nobody() -> (String, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap().to_string(), listener)
    }

    fn routers(addresses: &[&str], patience: Patience) -> Routers {
        let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        Routers::at(&addresses, &Bearer::default(), patience).unwrap()
    }

    #[tokio::test]
    async fn each_router_is_the_first_in_its_turn_unless_it_rests() {
        let routers = routers(&["a:1", "b:1", "c:1"], Patience::Once);
        let firsts = |routers: &Routers| -> Vec<String> {
            let first = |_| routers.in_turn()[0].address.clone();
            (0..3).map(first).collect()
        };
        assert_eq!(firsts(&routers), ["a:1", "b:1", "c:1"]);
        *routers.ways[1].rests_until.lock() = Some(Instant::now() + REST);
        assert_eq!(firsts(&routers), ["a:1", "c:1", "c:1"]);
        let turn = routers.in_turn();
        assert_eq!(turn.last().unwrap().address, "b:1");
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_tries_a_router_whose_rest_is_over() {
        let routers = routers(&["a:1", "b:1"], Patience::Once);
        *routers.ways[0].rests_until.lock() = Some(Instant::now() + REST);
        sleep(REST).await;
        let firsts = (0..4).map(|_| routers.in_turn()[0].address.clone());
        let firsts: Vec<String> = firsts.collect();
        assert_eq!(firsts, ["a:1", "b:1", "b:1", "b:1"]);
    }

    #[tokio::test]
    async fn a_broken_connection_may_pass_and_a_refusal_may_not() {
        let (address, listener) = nobody();
        let routers = routers(&[&address], Patience::Once);
        let hung_up = std::thread::spawn(move || drop(listener.accept()));
        let status = routers.route(&v1::RouteRequest::default()).await.unwrap_err();
        hung_up.join().unwrap();
        assert!(may_pass(&status), "{status:?}");
        assert!(routers.ways[0].rests_until.lock().is_some());
        assert!(!may_pass(&Status::already_exists("reported otherwise")));
        assert!(!may_pass(&Status::unauthenticated("who is it?")));
    }

    #[test]
    fn what_is_not_an_address_is_named() {
        let wrong = Routers::at(&["no where".to_owned()], &Bearer::default(), Patience::Once);
        let said = wrong.err().unwrap().to_string();
        assert!(said.contains("`no where` is not an address"), "{said}");
    }
}
