//! Route: from a request to a channel. No await and no I/O, unless the attempt is to be registered.

use std::sync::Arc;

use domain::decision::{Action, Decision, Desk, Previous, Query, Shop, Target, decide};
use domain::payment::Attributes;
use domain::policy::Verdict;
use jiff::Timestamp;
use ledger::decision::{DecisionRecord, Exclusion};
use proto::claims::DecisionClaims;
use proto::route::RouteQuery;
use proto::{claims, time, v1};
use rand::Rng;
use tokio::time::Instant;
use uuid::Uuid;

use crate::attempt_key::attempt_key;
use crate::claims::{of_decision, previous};
use crate::error::CallError;
use crate::routing::Routing;

/// Longest card brand that a token carries, in bytes.
pub(crate) const MAX_BRAND: usize = 32;

/// A decision with what names it.
pub(crate) struct Named<'p> {
    id: Uuid,
    pub(crate) decision: Decision<'p>,
    pub(crate) decided_at: Timestamp,
    expires_at: Timestamp,
    health_as_of: Timestamp,
}

impl Routing {
    /// Answers Route. Ready at once, unless the payment is guarded: then the ledger is waited for.
    ///
    /// # Errors
    /// When the request is invalid, or a receipt was not issued here or is about another payment; for a guarded payment
    /// also when it was registered with another amount, the attempt's number is taken, or the ledger does not answer.
    pub async fn route(&self, request: v1::RouteRequest) -> Result<v1::RouteResponse, CallError> {
        let began = Instant::now();
        let query = RouteQuery::try_from(request)?;
        if self.guards(&query) {
            return self.route_guarded(query, began).await;
        }
        let previous = self.previous(&query, false)?;
        let mut desk = self.desk.lock();
        // Under the lock: what is adopted meanwhile comes wholly before this decision or wholly after it.
        let shop = self.shop.load_full();
        let named = self.decide(&shop, &mut desk, &query, &previous);
        drop(desk);
        let response = self.response(&shop, &query, &named);
        Ok(self.finish(&shop, query, &named, (began, response)))
    }

    /// Explains the decision, counts it and hands it to the ledger.
    pub(crate) fn finish(
        &self,
        shop: &Shop,
        query: RouteQuery,
        named: &Named<'_>,
        (began, mut response): (Instant, v1::RouteResponse),
    ) -> v1::RouteResponse {
        if query.explain {
            response.explanation = Some(explanation(shop, &query.attributes, named, began));
        }
        self.meter
            .decided(named.decision.action, named.decision.strategy, began.elapsed());
        let health_age = named.decided_at.duration_since(named.health_as_of);
        self.meter.decided_with(health_age, named.decision.panic);
        self.writer.record_decision(record(shop, query.attributes, named));
        response
    }

    /// What the receipts prove. Of guarded attempts the ledger knows more, when it is asked.
    pub(crate) fn previous(
        &self,
        query: &RouteQuery,
        asked_ledger: bool,
    ) -> Result<Vec<Previous>, CallError> {
        let open = |receipt: &Vec<u8>| {
            let field = "previous_attempts";
            let claims = self.keyring.open_receipt(receipt);
            let claims = claims.map_err(|source| CallError::BadToken { field, source })?;
            let known = asked_ledger && claims.decision.as_ref().is_some_and(|of| of.guarded);
            let previous = previous(&claims, &query.attributes)?;
            Ok((!known).then_some(previous))
        };
        query
            .receipts
            .iter()
            .filter_map(|receipt| open(receipt).transpose())
            .collect()
    }

    pub(crate) fn decide<'p>(
        &self,
        shop: &'p Shop,
        desk: &mut crate::routing::Desk,
        query: &RouteQuery,
        previous: &[Previous],
    ) -> Named<'p> {
        let now = self.clock.now();
        let query = Query {
            attributes: &query.attributes,
            candidates: &query.candidates,
            exclude: &query.exclude,
            portable_to: &query.portable_to,
            previous,
            order_expires_at: query.order_expires_at,
        };
        let crate::routing::Desk { limits, rng } = desk;
        let decision = self.live.with_brain(|brain| {
            let mut desk = Desk { brain, limits };
            decide(shop, &mut desk, &query, now, rng)
        });
        let mut chance = [0; 10];
        rng.fill_bytes(&mut chance);
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Named {
            id: uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid(),
            decision,
            decided_at: now,
            expires_at: now.checked_add(self.token_ttl).unwrap_or(Timestamp::MAX),
            health_as_of: self.live.snapshot().as_of,
        }
    }

    pub(crate) fn response(&self, shop: &Shop, query: &RouteQuery, named: &Named<'_>) -> v1::RouteResponse {
        let payment = &query.attributes;
        let decision = &named.decision;
        let mut choices = decision
            .targets
            .iter()
            .filter_map(|target| choice(shop, payment, target));
        let channel = choices.next();
        let silent = |channel| v1::Fallback {
            channel: Some(channel),
            switch_kind: v1::SwitchKind::Silent.into(),
        };
        v1::RouteResponse {
            decision_id: named.id.to_string(),
            decision_token: self.token(shop, query, named),
            action: action(decision.action).into(),
            channel,
            fallbacks: choices.map(silent).collect(),
            offer_methods: decision.offers.iter().map(|offer| offered(offer)).collect(),
            excluded: exclusions(shop, decision)
                .map(|(channel_id, reason)| v1::Exclusion {
                    channel_id: channel_id.to_owned(),
                    reason: reason.to_owned(),
                })
                .collect(),
            policy_version: shop.policy.version().to_owned(),
            matched_rule: decision.matched_rule.to_owned(),
            strategy: decision.strategy.as_str().to_owned(),
            exploration: decision.exploration.as_str().to_owned(),
            propensity: decision.propensity,
            panic: decision.panic,
            health_as_of: Some(time::to_wire(named.health_as_of)),
            expires_at: Some(time::to_wire(named.expires_at)),
            explanation: None,
            open_attempt: None,
            not_before: None,
        }
    }

    fn token(&self, shop: &Shop, query: &RouteQuery, named: &Named<'_>) -> Vec<u8> {
        if named.decision.action != Action::Submit {
            return Vec::new();
        }
        self.keyring.seal_decision(&self.claims(shop, query, named))
    }

    /// What the token of a decision says.
    pub(crate) fn claims(&self, shop: &Shop, query: &RouteQuery, named: &Named<'_>) -> DecisionClaims {
        let payment = &query.attributes;
        let target = |target: &Target| {
            let channel = shop.channels.get(target.channel)?;
            Some(claims::Target {
                channel_id: channel.id.to_string(),
                account: target
                    .account
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            })
        };
        let mut claims = of_decision(named.id, payment, [named.decided_at, named.expires_at]);
        claims.targets = named.decision.targets.iter().filter_map(target).collect();
        claims.guarded = self.guards(query);
        claims.order_expires_at_us = query.order_expires_at.map_or(0, Timestamp::as_microsecond);
        claims.credential = query
            .credential
            .as_ref()
            .map(|credential| credential.as_str().to_owned())
            .unwrap_or_default();
        let brand = payment.card.as_ref().and_then(|card| card.brand.clone());
        // No network has a longer name, and a token has a bound.
        claims.card_brand = brand.filter(|brand| brand.len() <= MAX_BRAND).unwrap_or_default();
        claims
    }

    /// Whether the attempt is to be registered.
    pub(crate) fn guards(&self, query: &RouteQuery) -> bool {
        query.guard || self.guarding.by_default.covers(&query.attributes.merchant)
    }
}

fn explanation(shop: &Shop, payment: &Attributes, named: &Named<'_>, began: Instant) -> v1::Explanation {
    let rules = shop.policy.explain(payment, named.decided_at);
    let rank = |target: &Target| {
        let channel = shop.channels.get(target.channel)?;
        Some(v1::RankTrace {
            channel_id: channel.id.to_string(),
            success_estimate: target.success,
            breaker_state: target.state.as_str().to_owned(),
            cost_minor: channel.cost.of(payment.amount.minor()),
        })
    };
    v1::Explanation {
        rules: rules
            .into_iter()
            .map(|rule| v1::RuleTrace {
                rule: rule.rule.to_owned(),
                matched: !matches!(rule.verdict, Verdict::Unmet { .. }),
                because: match rule.verdict {
                    Verdict::Unmet { condition, found } => format!("{condition}, but {found}"),
                    Verdict::Selected | Verdict::Matched => String::new(),
                },
            })
            .collect(),
        ranking: named.decision.targets.iter().filter_map(rank).collect(),
        decided_in_us: u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX),
        halted_because: named
            .decision
            .halt
            .map_or_else(String::new, |halt| halt.as_str().to_owned()),
    }
}

fn choice(shop: &Shop, payment: &Attributes, target: &Target) -> Option<v1::ChannelChoice> {
    let channel = shop.channels.get(target.channel)?;
    Some(v1::ChannelChoice {
        channel_id: channel.id.to_string(),
        account: target
            .account
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        timeout_ms: channel.timeout_ms,
        attempt_key: attempt_key(
            &payment.merchant,
            &payment.payment,
            payment.attempt_no,
            &channel.id,
        ),
        success_estimate: target.success,
    })
}

fn offered(offer: &domain::policy::Offer) -> v1::OfferedMethod {
    v1::OfferedMethod {
        method: offer.method.to_string(),
        reason: offer.reason.to_string(),
    }
}

fn exclusions<'s>(
    shop: &'s Shop,
    decision: &'s Decision<'_>,
) -> impl Iterator<Item = (&'s str, &'static str)> {
    decision.excluded.iter().filter_map(|(index, exclusion)| {
        let channel = shop.channels.get(*index)?;
        Some((channel.id.as_str(), exclusion.as_str()))
    })
}

const fn action(action: Action) -> v1::Action {
    match action {
        Action::Submit => v1::Action::Submit,
        Action::WaitAndQuery => v1::Action::WaitAndQuery,
        Action::OfferMethods => v1::Action::OfferMethods,
        Action::Stop => v1::Action::Stop,
    }
}

fn record(shop: &Shop, attributes: Attributes, named: &Named<'_>) -> DecisionRecord {
    let decision = &named.decision;
    let chosen = decision.targets.first();
    DecisionRecord {
        id: named.id,
        attributes: Arc::new(attributes),
        action: decision.action.as_str().to_owned(),
        channel: chosen.and_then(|target| Some(shop.channels.get(target.channel)?.id.clone())),
        account: chosen.and_then(|target| target.account.clone()),
        policy_version: shop.policy.version().to_owned(),
        matched_rule: Some(decision.matched_rule.to_owned()),
        strategy: decision.strategy.as_str().to_owned(),
        exploration: decision.exploration.as_str().to_owned(),
        propensity: chosen.map(|_| decision.propensity),
        panic: decision.panic,
        excluded: decision
            .excluded
            .iter()
            .filter_map(|(index, exclusion)| {
                Some(Exclusion {
                    channel: shop.channels.get(*index)?.id.clone(),
                    reason: exclusion.as_str().to_owned(),
                })
            })
            .collect(),
        decided_at: named.decided_at,
    }
}
