//! The client: the routers, the courier, and the payments under way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::catalogue::Catalogue;
use domain::clock::SystemClock;
use proto::v1;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::channels::Channels;
use crate::conclusion::Conclusion;
use crate::confirming::Ear;
use crate::courier::{Courier, Delivered, Plan};
use crate::course::{Course, Desk, Judge};
use crate::error::{BuildError, PayError};
use crate::observer::Subject;
use crate::payment::Payment;
use crate::port::may_pass;
use crate::routers::Routers;
use crate::settings::ClientBuilder;

/// News of a payment that may wait for its caller.
const NEWS: usize = 8;

/// A client of Payroute. Cheap to clone; all clones share connections and the outcomes to be delivered. Close the last
/// one with [`Client::close`], so that nothing is left behind.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    desk: Arc<Desk<Routers>>,
    runtime: Handle,
    payments: TaskTracker,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undelivered = self.undelivered();
        f.debug_struct("Client")
            .field("undelivered", &undelivered)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins to set up a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn make(builder: ClientBuilder) -> Result<Self, BuildError> {
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let payroute = Arc::new(Routers::at(&builder.connecting, builder.hurry)?);
        let plan = Plan {
            payroute: Arc::clone(&payroute),
            observer: builder.observer,
            capacity: builder.keeping.capacity,
            rng: rand::make_rng::<StdRng>(),
        };
        let journal = builder.keeping.journal.as_deref();
        let courier = Courier::new(plan, journal, runtime.clone()).map_err(|source| BuildError::Journal {
            path: builder.keeping.journal.clone().unwrap_or_default(),
            source,
        })?;
        let catalogue = Arc::new(Catalogue::built_in().map_err(BuildError::Catalogue)?);
        Ok(Self(Arc::new(Inner {
            desk: Arc::new(Desk {
                payroute,
                courier,
                judge: Judge::new(catalogue, rand::make_rng::<StdRng>()),
                manner: builder.manner,
                clock: Arc::new(SystemClock),
                closing: CancellationToken::new(),
            }),
            runtime,
            payments: TaskTracker::new(),
        })))
    }

    /// Takes a payment: routes it, submits it through `channels`, tells what became of it, and does what follows, within
    /// the time for it, until it is paid, not paid, or has to be confirmed.
    ///
    /// It is safe to drop the future: the submit that is under way comes to its end in the background and is told, an unknown
    /// outcome is found out, and nothing else is submitted.
    ///
    /// # Errors
    /// When nothing was submitted, because no router answered, the call was refused, or there is no room to keep the
    /// outcome; or when what was submitted conflicts with what is known of it.
    pub async fn pay(&self, payment: &Payment, channels: impl Channels) -> Result<Conclusion, PayError> {
        if self.0.desk.closing.is_cancelled() {
            return Err(PayError::Closed);
        }
        let (tell, news) = mpsc::channel(NEWS);
        let absent = self.0.desk.closing.child_token();
        let desk = Arc::clone(&self.0.desk);
        let course = Course::new(desk, channels, payment.request.clone(), absent.clone(), tell);
        self.0.payments.spawn_on(course.run(), &self.0.runtime);
        let patience = payment
            .confirm_within
            .unwrap_or(self.0.desk.manner.confirm_within);
        Ear::new(news, absent.drop_guard()).conclusion(patience).await
    }

    /// Tells what is known by now of an attempt that was open: a notice that came, or the settlement file. Delivered in
    /// the background too, if the future is dropped.
    ///
    /// # Errors
    /// When Payroute refuses it, or the client is closed before it was delivered.
    pub async fn resolve(
        &self,
        subject: Subject,
        request: v1::ResolveAttemptRequest,
    ) -> Result<v1::ResolveAttemptResponse, PayError> {
        let mut ticket = self.0.desk.courier.resolve(None, subject, request, None);
        match &*ticket.delivered().await {
            Delivered::Resolve(answer) => Ok(answer.clone()),
            Delivered::Refused(status) => Err(PayError::Refused(status.clone())),
            Delivered::Report(_) | Delivered::GivenUp => Err(PayError::Closed),
        }
    }

    /// Everything that Payroute knows of a payment.
    ///
    /// # Errors
    /// When no router answers in time, or the call is refused.
    pub async fn payment(
        &self,
        merchant_id: impl Into<String>,
        payment_id: impl Into<String>,
    ) -> Result<v1::GetPaymentResponse, PayError> {
        let request = v1::GetPaymentRequest {
            merchant_id: merchant_id.into(),
            payment_id: payment_id.into(),
        };
        let until = Instant::now() + self.0.desk.manner.route_within;
        let answer = timeout_at(until, self.0.desk.payroute.payment(&request)).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        answer.map_err(|status| {
            if may_pass(&status) {
                PayError::Unanswered(status)
            } else {
                PayError::Refused(status)
            }
        })
    }

    /// How many outcomes wait to be delivered.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.0.desk.courier.undelivered()
    }

    /// Begins no more payments, waits for the submits that are under way and delivers every outcome, for at most
    /// `time`. Payments that wait for a provider or a customer stop waiting; the compensation service goes on with them.
    ///
    /// Says how many outcomes were not delivered. With a journal, the next client delivers them; without one, they are
    /// lost.
    pub async fn close(&self, time: Duration) -> usize {
        let until = Instant::now() + time;
        self.0.desk.closing.cancel();
        self.0.desk.courier.shut();
        self.0.payments.close();
        let _in_time = timeout_at(until, self.0.payments.wait()).await;
        let left = until.saturating_duration_since(Instant::now());
        self.0.desk.courier.close(left).await
    }
}
