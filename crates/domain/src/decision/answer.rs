//! The answer to a query.

use smallvec::SmallVec;

use super::shop::Shop;
use crate::brain::{Choice, Exploration, State};
use crate::channels::ChannelIndex;
use crate::eligibility::Exclusion;
use crate::id::AccountId;
use crate::limit::Reservation;
use crate::named::named;
use crate::payment::Attributes;
use crate::policy::{Offer, Plan, Strategy};

named! {
    /// What the caller does now.
    pub enum Action {
        /// Submit to the first target.
        Submit = "submit",
        /// An earlier attempt may have charged: ask for its result first.
        WaitAndQuery = "wait_and_query",
        /// Let the customer choose another method.
        OfferMethods = "offer_methods",
        /// Do not try again.
        Stop = "stop",
    }
}

named! {
    /// Why nothing is submitted.
    pub enum Halt {
        /// An earlier attempt may have charged.
        Unsettled = "unsettled",
        /// An earlier attempt was paid.
        Paid = "paid",
        /// The last refusal forbids another try with the same credential.
        Forbidden = "forbidden",
        /// As many attempts by this method as a payment may have.
        TooMany = "too_many",
        /// The issuer or the method fails on every channel: another one would fail too.
        Incident = "incident",
        /// No channel is left.
        NoChannel = "no_channel",
        /// The order was cancelled or has expired.
        OrderOver = "order_over",
        /// The card network wants the credential left alone for a time.
        TooSoon = "too_soon",
    }
}

impl Halt {
    /// What the caller does; `offers` says whether the policy has other methods for the customer.
    const fn action(self, offers: bool) -> Action {
        match self {
            Self::Unsettled => Action::WaitAndQuery,
            Self::TooMany | Self::Incident | Self::NoChannel | Self::TooSoon if offers => {
                Action::OfferMethods
            }
            Self::Paid
            | Self::Forbidden
            | Self::TooMany
            | Self::Incident
            | Self::NoChannel
            | Self::OrderOver
            | Self::TooSoon => Action::Stop,
        }
    }
}

/// Most channels of a decision: more than a payment may have attempts, and few enough for a token of bounded size.
pub const MAX_TARGETS: usize = 8;

/// A channel to submit to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Which channel.
    pub channel: ChannelIndex,
    /// The account to use there.
    pub account: Option<AccountId>,
    /// Estimated probability of success, 0 to 1.
    pub success: f64,
    /// The state of its breaker for this payment.
    pub state: State,
}

/// Where a payment goes, and why.
#[derive(Clone, Debug)]
pub struct Decision<'p> {
    /// What the caller does now.
    pub action: Action,
    /// Why nothing is submitted; `None` when something is.
    pub halt: Option<Halt>,
    /// The channel to submit to, then the fallbacks, best first; up to [`MAX_TARGETS`]. Empty unless the action is
    /// [`Action::Submit`].
    pub targets: SmallVec<[Target; MAX_TARGETS]>,
    /// Methods to offer at the cashier, best first.
    pub offers: SmallVec<[&'p Offer; 8]>,
    /// The other channels, each with its one reason.
    pub excluded: SmallVec<[(ChannelIndex, Exclusion); 64]>,
    /// The rule that chose the order.
    pub matched_rule: &'p str,
    /// How it chose.
    pub strategy: Strategy<'p>,
    /// What, other than being the best, made the first target the choice.
    pub exploration: Exploration,
    /// The probability with which it was chosen, above 0 to 1.
    pub propensity: f64,
    /// Every candidate's breaker had tripped.
    pub panic: bool,
    /// What the limits have counted for the first target: to be given back when the payment does not go there.
    pub reservation: Option<Reservation>,
}

impl<'p> Decision<'p> {
    /// A decision by `plan` that has no target yet.
    pub(super) fn new(plan: &Plan<'p>, excluded: SmallVec<[(ChannelIndex, Exclusion); 64]>) -> Self {
        let denied = plan
            .excluded
            .iter()
            .map(|denied| (denied.channel, denied.exclusion));
        let mut decision = Self {
            action: Action::Submit,
            halt: None,
            targets: SmallVec::new(),
            offers: plan.offers.clone(),
            excluded,
            matched_rule: plan.matched_rule,
            strategy: plan.strategy,
            exploration: Exploration::None,
            propensity: 1.0,
            panic: false,
            reservation: None,
        };
        decision.excluded.extend(denied);
        decision
    }

    /// Takes over the brain's ranking of `order`; what it leaves out is out for its health.
    pub(super) fn ranked(
        &mut self,
        shop: &Shop,
        payment: &Attributes,
        order: &[ChannelIndex],
        choice: &Choice,
    ) {
        self.exploration = choice.exploration;
        self.propensity = choice.propensity;
        self.panic = choice.panic;
        let target = |ranked: &crate::brain::Ranked| {
            let channel = shop.index_of(ranked.channel)?;
            let account = shop
                .channels
                .account(channel, &payment.merchant, &payment.payment);
            Some(Target {
                channel,
                account: account.cloned(),
                success: ranked.success,
                state: ranked.state,
            })
        };
        self.targets = choice
            .ranking
            .iter()
            .filter_map(target)
            .take(MAX_TARGETS)
            .collect();
        let is_ranked = |index: &ChannelIndex| {
            let known = shop.known_as(*index);
            choice.ranking.iter().any(|ranked| Some(ranked.channel) == known)
        };
        let unhealthy = order.iter().filter(|index| !is_ranked(index));
        self.excluded
            .extend(unhealthy.map(|index| (*index, Exclusion::Unhealthy)));
    }

    /// Submits nothing. What was reserved for it has to be given back first.
    pub fn halt(&mut self, halt: Halt) {
        self.action = halt.action(!self.offers.is_empty());
        self.halt = Some(halt);
        self.targets.clear();
    }

    /// The same decision, with nothing submitted.
    pub(super) fn halted(mut self, halt: Halt) -> Self {
        self.halt(halt);
        self
    }
}
