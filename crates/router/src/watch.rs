//! The gRPC face of the compensation queue: hands requests to whoever listens.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::clock::SharedClock;
use domain::compensation::Ask;
use domain::id::{AccountId, MerchantId};
use jiff::{SignedDuration, Timestamp};
use ledger::compensation::{CaseRecord, Cases, HandOut};
use ledger::{Ledger, LedgerError};
use proto::time::to_wire;
use proto::v1;
use proto::v1::compensation_service_server::CompensationService;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::error::CallError;
use crate::papers::Clerk;
use crate::routing::Routing;

/// How often the ledger is asked for requests while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many requests a listener has at most that it has not read: those beyond stay in the ledger for others.
const AT_ONCE: u32 = 32;

/// How long a listener has a request before it is handed to the next.
const HANDED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Hands requests out.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The queue.
    pub cases: Arc<dyn Cases>,
    /// Where attempts are read.
    pub ledger: Arc<dyn Ledger>,
    /// Makes their papers.
    pub clerk: Clerk,
    /// The time.
    pub clock: SharedClock,
}

impl Routing {
    /// What hands out requests about the attempts that were routed here or elsewhere.
    #[must_use]
    pub fn requests(&self) -> Desk {
        Desk {
            cases: Arc::clone(&self.cases),
            ledger: Arc::clone(&self.ledger),
            clerk: Clerk::new(self.keyring.clone(), self.catalogue.clone()),
            clock: Arc::clone(&self.clock),
        }
    }
}

/// Serves [`Desk`] over gRPC.
#[derive(Clone, Debug)]
pub struct Watching {
    desk: Arc<Desk>,
    stop: CancellationToken,
}

impl Watching {
    /// The service over `desk`. Streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(desk: Arc<Desk>, stop: CancellationToken) -> Self {
        Self { desk, stop }
    }
}

#[tonic::async_trait]
impl CompensationService for Watching {
    type WatchResolutionsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchResolutionsResponse, Status>> + Send>>;

    async fn watch_resolutions(
        &self,
        request: Request<v1::WatchResolutionsRequest>,
    ) -> Result<Response<Self::WatchResolutionsStream>, Status> {
        let merchant = request.into_inner().merchant_id;
        let merchant = if merchant.is_empty() {
            None
        } else {
            let named = MerchantId::new(merchant);
            let violation = |error: domain::id::InvalidId| {
                CallError::Invalid(proto::violation::Violations::one(
                    "merchant_id",
                    error.to_string(),
                ))
            };
            Some(named.map_err(violation)?)
        };
        let (listener, requests) = mpsc::channel(1);
        let (desk, stop) = (Arc::clone(&self.desk), self.stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = desk.serve(merchant, listener) => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(requests))))
    }
}

/// Who listens.
type Listener = mpsc::Sender<Result<v1::WatchResolutionsResponse, Status>>;

impl Desk {
    /// Hands requests to `listener` until it goes.
    async fn serve(&self, merchant: Option<MerchantId>, listener: Listener) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = listener.closed() => return,
                _ = looks.tick() => {}
            }
            match self.hand_out(merchant.clone()).await {
                Ok(requests) => {
                    for request in requests {
                        if listener.send(Ok(request)).await.is_err() {
                            return;
                        }
                    }
                }
                // The listener comes again, and what is out is still out.
                Err(error) => {
                    let _gone = listener.send(Err(CallError::from(error).into())).await;
                    return;
                }
            }
        }
    }

    async fn hand_out(
        &self,
        merchant: Option<MerchantId>,
    ) -> Result<Vec<v1::WatchResolutionsResponse>, LedgerError> {
        let now = self.clock.now();
        let to = HandOut {
            merchant,
            now,
            until: now.checked_add(HANDED_FOR).unwrap_or(Timestamp::MAX),
            limit: AT_ONCE,
        };
        let mut requests = Vec::new();
        for case in self.cases.hand_out(&to).await? {
            requests.extend(self.request(&case).await?);
        }
        Ok(requests)
    }

    /// The request of `case`; `None` when its attempt is not there or nothing is asked any more.
    async fn request(&self, case: &CaseRecord) -> Result<Option<v1::WatchResolutionsResponse>, LedgerError> {
        let attempt = self.ledger.attempt(&case.merchant, &case.attempt).await?;
        let Some(((request, asked), attempt)) = case.request.zip(case.case.asked).zip(attempt) else {
            return Ok(None);
        };
        let papers = self.clerk.papers(&attempt);
        Ok(Some(v1::WatchResolutionsResponse {
            request_id: request.to_string(),
            action: action(asked.what).into(),
            merchant_id: attempt.merchant.to_string(),
            payment_id: attempt.payment.to_string(),
            attempt_id: attempt.attempt.to_string(),
            attempt_no: attempt.attempt_no,
            channel_id: attempt.channel.to_string(),
            account: attempt.account.as_ref().map_or("", AccountId::as_str).to_owned(),
            attempt_key: papers.attempt_key,
            provider_reference: attempt.report.provider_reference.unwrap_or_default(),
            amount_minor: attempt.amount.minor(),
            currency: attempt.amount.currency().code().to_owned(),
            state: attempt.verdict.state,
            times: asked.times,
            asked_at: Some(to_wire(asked.at)),
            receipt: papers.receipt,
        }))
    }
}

const fn action(what: Ask) -> v1::ResolutionAction {
    match what {
        Ask::Query => v1::ResolutionAction::Query,
        Ask::Close => v1::ResolutionAction::Close,
        Ask::Reverse => v1::ResolutionAction::Reverse,
        Ask::Refund => v1::ResolutionAction::Refund,
    }
}
