//! Route with `guard`: the attempt is registered in the ledger before it is answered.
//!
//! Everything that Route decides by is in memory, as always; the ledger is asked once more whether the attempt may be
//! made at all, and writes it down in the same step. When it does not answer, nothing is submitted.

use std::sync::Arc;

use domain::attempt;
use domain::attempt::payment::{Blocked, Slot};
use domain::decision::{Action, Halt, Shop, attempt_key};
use domain::id::MerchantId;
use domain::network_retry::{Rules, Verdict};
use jiff::{SignedDuration, Timestamp};
use ledger::Guards;
use ledger::guard::{GuardedAttempt, Registered, Registration};
use prost::Message as _;
use proto::claims::DecisionClaims;
use proto::route::RouteQuery;
use proto::{time, v1};
use tokio::time::Instant;

use crate::error::CallError;
use crate::open_attempt::choice_of;
use crate::route::Named;
use crate::routing::Routing;

/// How long after its channel's timeout an attempt should have been reported. Whoever was to report it is taken for gone
/// then; a report that comes later is taken as well.
const REPORT_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// Whose payments are guarded without their asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ByDefault {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of these merchants.
    Merchants(Vec<MerchantId>),
    /// Everybody's.
    Everybody,
}

impl ByDefault {
    /// Whether the payments of `merchant` are.
    #[must_use]
    pub fn covers(&self, merchant: &MerchantId) -> bool {
        match self {
            Self::Nobody => false,
            Self::Merchants(merchants) => merchants.contains(merchant),
            Self::Everybody => true,
        }
    }
}

/// What a guarded Route works with, besides what every Route does.
#[derive(Debug)]
pub struct Guarding {
    /// What is registered.
    pub guards: Arc<dyn Guards>,
    /// Whose payments are guarded without their asking.
    pub by_default: ByDefault,
    /// How often the card networks let a credential be tried.
    pub rules: Rules,
}

/// What the registration came to.
enum Answered {
    /// The attempt may be submitted, as it was just decided.
    New,
    /// The caller has registered it before, and may submit it as it was decided then.
    Again(Box<DecisionClaims>),
    /// Nothing may be submitted.
    Halted(Halt, Option<GuardedAttempt>),
}

impl Routing {
    /// Answers a Route whose attempt is to be registered.
    pub(crate) async fn route_guarded(
        &self,
        mut query: RouteQuery,
        began: Instant,
    ) -> Result<v1::RouteResponse, CallError> {
        let known = self.known(&query).await?;
        let mut previous = self.previous(&query, true)?;
        previous.extend(known.previous);
        query.exclude.extend(known.tried);
        let verdict = self.credential(&query).await?;
        let shop;
        let mut named = {
            let mut desk = self.desk.lock();
            shop = self.shop.load_full();
            self.decide(&shop, &mut desk, &query, &previous)
        };
        let mut open = known.open;
        if named.decision.action == Action::Submit
            && let Some(halt) = halt(&verdict)
        {
            self.withdraw(&query, &mut named, halt);
        }
        let mut again = None;
        if named.decision.action == Action::Submit {
            let answered = self.register(&shop, &query, &named).await;
            match answered.inspect_err(|_| self.withdraw(&query, &mut named, Halt::Unsettled))? {
                Answered::New => {}
                Answered::Again(claims) => again = Some(claims),
                Answered::Halted(halt, by) => {
                    self.withdraw(&query, &mut named, halt);
                    open = by;
                }
            }
        }
        let mut response = self.response(&shop, &query, &named);
        response.fallbacks.clear();
        if let Verdict::NotBefore { at, .. } = verdict {
            response.not_before = Some(time::to_wire(at));
        }
        if let Some(claims) = again {
            self.give_again(&shop, &claims, &mut response);
        }
        if let Some(open) = open.filter(|_| named.decision.action == Action::WaitAndQuery) {
            response.open_attempt = Some(self.open_attempt(&shop, &query, open).await?);
        }
        Ok(self.finish(&shop, query, &named, (began, response)))
    }

    /// Registers what was decided.
    async fn register(
        &self,
        shop: &Shop,
        query: &RouteQuery,
        named: &Named<'_>,
    ) -> Result<Answered, CallError> {
        let attributes = &query.attributes;
        let Some(channel) = named
            .decision
            .targets
            .first()
            .and_then(|target| shop.channels.get(target.channel))
        else {
            return Ok(Answered::Halted(Halt::NoChannel, None));
        };
        let registration = Registration {
            merchant: attributes.merchant.clone(),
            payment: attributes.payment.clone(),
            money: attributes.amount,
            expires_at: query.order_expires_at,
            slot: Slot::first(attributes.attempt_no),
            channel: channel.id.clone(),
            request: query.request.clone(),
            most: attempt::Limits::default().max_attempts,
            decision: self.claims(shop, query, named).encode_to_vec(),
            at: named.decided_at,
            due_at: due(named.decided_at, channel.timeout_ms),
        };
        match self.in_time(self.writer.register(registration)).await? {
            Registered::New => Ok(Answered::New),
            Registered::Again(kept) => known_already(query, kept, named.decided_at),
            Registered::Blocked { why, by } => blocked(query, &why, by),
            Registered::OtherMoney { registered } => Err(CallError::OtherMoney {
                payment: attributes.payment.to_string(),
                registered,
            }),
        }
    }

    /// Takes a decision back: nothing is submitted by it.
    fn withdraw(&self, query: &RouteQuery, named: &mut Named<'_>, halt: Halt) {
        let payment = &query.attributes;
        let key = attempt_key(&payment.merchant, &payment.payment, payment.attempt_no);
        let mut desk = self.desk.lock();
        if let Some(reservation) = named.decision.reservation.take() {
            desk.limits.release(reservation);
        }
        self.live.with_brain(|brain| brain.dismiss(key));
        drop(desk);
        named.decision.halt(halt);
    }

    /// Gives the decision of `claims` again, under its own name and to its own channel.
    fn give_again(&self, shop: &Shop, claims: &DecisionClaims, response: &mut v1::RouteResponse) {
        response.channel = claims.targets.first().and_then(|target| {
            let payment = (claims.merchant_id.as_str(), claims.payment_id.as_str());
            choice_of(shop, target, payment, claims.attempt_no)
        });
        if let Ok(id) = uuid::Uuid::from_slice(&claims.decision_id) {
            response.decision_id = id.to_string();
        }
        response.expires_at = proto::time::from_micros(claims.expires_at_us).map(time::to_wire);
        response.decision_token = self.keyring.seal_decision(claims);
    }
}

/// What an attempt that was registered before is answered with: only who registered it is given it again.
fn known_already(query: &RouteQuery, kept: GuardedAttempt, now: Timestamp) -> Result<Answered, CallError> {
    let attempt_no = kept.slot.attempt_no;
    if kept.state.was_charged() {
        return Ok(Answered::Halted(Halt::Paid, None));
    }
    if kept.state.standing() == attempt::Standing::NoDebit {
        return Err(CallError::AttemptTaken {
            attempt_no,
            state: kept.state.as_str(),
        });
    }
    let mine = query.request.is_some() && query.request == kept.request;
    if mine && kept.state == attempt::State::Submitted {
        let claims = DecisionClaims::decode(kept.decision.as_slice()).ok();
        let fresh = claims.filter(|claims| claims.expires_at_us > now.as_microsecond());
        if let Some(claims) = fresh {
            return Ok(Answered::Again(Box::new(claims)));
        }
    }
    Ok(Answered::Halted(Halt::Unsettled, Some(kept)))
}

/// When an attempt that begins at `from` should have been reported.
pub(crate) fn due(from: Timestamp, timeout_ms: u32) -> Timestamp {
    let patience = SignedDuration::from_millis(i64::from(timeout_ms)) + REPORT_WITHIN;
    from.checked_add(patience).unwrap_or(Timestamp::MAX)
}

fn halt(verdict: &Verdict) -> Option<Halt> {
    match verdict {
        Verdict::Allowed => None,
        Verdict::NotBefore { .. } => Some(Halt::TooSoon),
        Verdict::Never { .. } => Some(Halt::Forbidden),
    }
}

/// What a refused registration is answered with.
fn blocked(query: &RouteQuery, why: &Blocked, by: Option<GuardedAttempt>) -> Result<Answered, CallError> {
    match why {
        Blocked::Unsettled { .. } => Ok(Answered::Halted(Halt::Unsettled, by)),
        Blocked::Paid { .. } => Ok(Answered::Halted(Halt::Paid, by)),
        Blocked::OrderOver => Ok(Answered::Halted(Halt::OrderOver, by)),
        Blocked::Spent { .. } => Ok(Answered::Halted(Halt::TooMany, by)),
        Blocked::Taken { .. } | Blocked::NotRetriable { .. } => Err(CallError::AttemptTaken {
            attempt_no: query.attributes.attempt_no,
            state: "followed by another attempt",
        }),
    }
}
