//! The shop's checkout: simulated shoppers and channels on either side of the SDK, which is what a real shop would use.

pub(crate) mod door;
pub(crate) mod request;

use std::sync::Arc;
use std::time::Duration;

use client::{Channels, Client, Conclusion, Doubt, Found, Reversal, Submitted, Violations};
use domain::id::{ChannelId, PaymentId};
use domain::payment::Attributes;
use parking_lot::Mutex;
use simulator::live::LiveProviders;
use simulator::provider::{self, QueryResult};
use simulator::world::ChannelIndex;

use request::{outcome, payment};

/// An open outcome is asked for this often. Real providers want seconds, as `query_at` says; the demo has no time.
pub(crate) const QUERY_EVERY: Duration = Duration::from_millis(200);

/// This often at most; after that the attempt is taken back where the channel can do it.
pub(crate) const QUERIES: u32 = 20;

/// One submit to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submit {
    /// The channel.
    pub(crate) channel: ChannelIndex,
    /// When it began, since the start of the scenario.
    pub(crate) at: Duration,
    /// How long after the failure before it was known; `None` for the first submit of a payment.
    pub(crate) failover: Option<Duration>,
    /// How it was settled, if its outcome was unknown at first.
    pub(crate) doubt: Option<Doubt>,
}

/// How a payment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The customer has paid.
    Paid,
    /// The customer has not, and is told why.
    NotPaid,
    /// It may have been paid: nothing more is submitted, and the customer is told to wait.
    Open,
    /// Payroute did not answer.
    Unrouted,
}

/// Whoever writes down what checkouts do. Called in the middle of payments, so nothing here may wait.
pub(crate) trait Notes: Send + Sync {
    /// A submit to `channel` begins, at that time of the scenario; `leaves` is the channel of the payment's submit before.
    fn begin(&self, channel: ChannelIndex, at: Duration, leaves: Option<ChannelIndex>);
}

/// The checkout for one payment.
pub(crate) struct Checkout {
    /// Payroute.
    pub(crate) payroute: Client,
    /// The connection to the providers: a shop has its own.
    pub(crate) providers: LiveProviders,
    /// Where it is written down.
    pub(crate) notes: Arc<dyn Notes>,
    /// The payment's name at Payroute. The simulated world has names of its own, which decide what happens: a world that
    /// is played again meets the same fates under new names.
    pub(crate) name: PaymentId,
}

/// Where a submit went, and when.
type Begun = (ChannelIndex, Duration);

/// The shop's integrations with the simulated providers, for one payment.
struct Cashier {
    providers: LiveProviders,
    notes: Arc<dyn Notes>,
    payment: Attributes,
    begun: Arc<Mutex<Vec<Begun>>>,
}

impl Checkout {
    /// Takes one payment to its end, whatever Payroute says. Gives the submits too, oldest first.
    pub(crate) async fn serve(self, attributes: &Attributes) -> (End, Vec<Submit>) {
        let begun = Arc::<Mutex<Vec<Begun>>>::default();
        let cashier = Cashier {
            providers: self.providers,
            notes: self.notes,
            payment: attributes.clone(),
            begun: Arc::clone(&begun),
        };
        let conclusion = pay(&self.payroute, &self.name, attributes, cashier).await;
        let (end, tried) = match &conclusion {
            Ok(conclusion) => (end(conclusion), conclusion.tried()),
            Err(error) => {
                tracing::error!(%error, "a checkout was not answered: {error}");
                (End::Unrouted, &[][..])
            }
        };
        let begun = begun.lock();
        let mut tried = tried.iter();
        let submit = |&(channel, at): &Begun| {
            let tried = tried.next();
            Submit {
                channel,
                at,
                failover: tried.and_then(|tried| tried.failover),
                doubt: tried.and_then(|tried| tried.doubt),
            }
        };
        (end, begun.iter().map(submit).collect())
    }
}

/// Why a payment was not taken to a conclusion.
#[derive(Debug, thiserror::Error)]
enum NotConcluded {
    #[error(transparent)]
    Invalid(#[from] Violations),
    #[error(transparent)]
    Failed(#[from] client::PayError),
}

async fn pay(
    payroute: &Client,
    name: &PaymentId,
    attributes: &Attributes,
    cashier: Cashier,
) -> Result<Conclusion, NotConcluded> {
    let payment = payment(name, attributes)?;
    Ok(match payroute.pay(&payment, cashier).await? {
        Conclusion::Confirming(confirming) => confirming.settled().await?,
        conclusion => conclusion,
    })
}

const fn end(conclusion: &Conclusion) -> End {
    match conclusion {
        Conclusion::Paid(_) => End::Paid,
        Conclusion::NotPaid(_) | Conclusion::OfferMethods(_) => End::NotPaid,
        Conclusion::Confirming(_) | Conclusion::Unsettled(_) => End::Open,
    }
}

impl Cashier {
    /// The channel of that name; `None` when this shop does not have it.
    fn channel(&self, submit: &client::Submit) -> Option<ChannelIndex> {
        let id = ChannelId::new(&submit.channel_id).ok()?;
        self.providers.world().index_of(&id)
    }

    /// Writes down that a submit begins.
    fn begin(&self, channel: ChannelIndex) {
        let at = self.providers.pace().now();
        let mut begun = self.begun.lock();
        self.notes.begin(channel, at, begun.last().map(|before| before.0));
        begun.push((channel, at));
    }
}

impl Channels for Cashier {
    async fn submit(&self, submit: &client::Submit) -> Submitted {
        let Some(channel) = self.channel(submit) else {
            tracing::error!(
                channel = submit.channel_id,
                "Payroute chose a channel that this shop does not have"
            );
            return Submitted::broken(client::TransportEvent::DnsFailure);
        };
        self.begin(channel);
        let answer = self.providers.submit(channel, &submit.attempt_key, &self.payment);
        outcome(&answer.await)
    }

    async fn query(&self, submit: &client::Submit) -> Found {
        let Some(channel) = self.channel(submit) else {
            return Found::Cannot;
        };
        match self.providers.query(channel, &submit.attempt_key).await {
            QueryResult::Paid => Found::Paid,
            QueryResult::NotPaid => Found::NotProcessed,
            QueryResult::Processing => Found::Processing,
            QueryResult::NotFound => Found::NotFound,
        }
    }

    async fn reverse(&self, submit: &client::Submit) -> Reversal {
        let Some(channel) = self.channel(submit) else {
            return Reversal::Cannot;
        };
        let reversal = self
            .providers
            .reverse(channel, &submit.attempt_key, &self.payment);
        match reversal.await {
            provider::Reversal::Reversed => Reversal::Reversed,
            provider::Reversal::NothingToReverse => Reversal::Closed,
        }
    }
}
