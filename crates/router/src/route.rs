//! Route: from a request to a channel. No await, no I/O.

use std::sync::Arc;

use domain::decision::{Action, Decision, Desk, Previous, Query, Shop, Target, decide};
use domain::payment::Attributes;
use domain::policy::Verdict;
use jiff::Timestamp;
use ledger::decision::{DecisionRecord, Exclusion};
use proto::route::RouteQuery;
use proto::{claims, time, v1};
use rand::Rng;
use tokio::time::Instant;
use uuid::Uuid;

use crate::attempt_key::attempt_key;
use crate::claims::{of_decision, previous};
use crate::error::CallError;
use crate::routing::Routing;

/// A decision with what names it.
struct Named<'p> {
    id: Uuid,
    decision: Decision<'p>,
    decided_at: Timestamp,
    expires_at: Timestamp,
    health_as_of: Timestamp,
}

impl Routing {
    /// Answers Route.
    ///
    /// # Errors
    /// When the request is invalid, a receipt was not issued here or is about another payment, or `guard` is asked for.
    pub fn route(&self, request: v1::RouteRequest) -> Result<v1::RouteResponse, CallError> {
        let began = Instant::now();
        let query = RouteQuery::try_from(request)?;
        if query.guard {
            return Err(CallError::NotYet("guard"));
        }
        let previous = self.previous(&query)?;
        let mut desk = self.desk.lock();
        // Under the lock: what is adopted meanwhile comes wholly before this decision or wholly after it.
        let shop = self.shop.load_full();
        let named = self.decide(&shop, &mut desk, &query, &previous);
        drop(desk);
        let mut response = self.response(&shop, &query.attributes, &named);
        if query.explain {
            response.explanation = Some(explanation(&shop, &query.attributes, &named, began));
        }
        self.meter
            .decided(named.decision.action, named.decision.strategy, began.elapsed());
        let health_age = named.decided_at.duration_since(named.health_as_of);
        self.meter.decided_with(health_age, named.decision.panic);
        self.writer
            .record_decision(record(&shop, query.attributes, &named));
        Ok(response)
    }

    fn previous(&self, query: &RouteQuery) -> Result<Vec<Previous>, CallError> {
        let open = |receipt: &Vec<u8>| {
            let field = "previous_attempts";
            let claims = self.keyring.open_receipt(receipt);
            let claims = claims.map_err(|source| CallError::BadToken { field, source })?;
            previous(&claims, &query.attributes)
        };
        query.receipts.iter().map(open).collect()
    }

    fn decide<'p>(
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

    fn response(&self, shop: &Shop, payment: &Attributes, named: &Named<'_>) -> v1::RouteResponse {
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
            decision_token: self.token(shop, payment, named),
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
        }
    }

    fn token(&self, shop: &Shop, payment: &Attributes, named: &Named<'_>) -> Vec<u8> {
        if named.decision.action != Action::Submit {
            return Vec::new();
        }
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
        self.keyring.seal_decision(&claims)
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
