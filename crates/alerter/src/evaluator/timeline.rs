//! What happened while an incident lasted, beside its own alert: breakers, suspensions, policies.

use std::collections::BTreeMap;

use domain::alert::page::Deed;
use domain::breaker_state::BreakerState;
use domain::control::Control;
use domain::id::ChannelId;
use domain::snapshot::HealthSnapshot;
use jiff::Timestamp;
use ledger::Impact;
use ledger::alert::{Advance, Entry, Incident};
use serde_json::{Value, json};

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// With why they are so, where it is known.
    breakers: BTreeMap<ChannelId, (BreakerState, Option<String>)>,
    /// The suspensions that hold, by number, in words.
    suspensions: BTreeMap<u64, String>,
    policy: Option<u64>,
    revision: u64,
}

impl Seen {
    /// Writes what has changed into the timelines of the incidents that are open: of breakers into those about the
    /// channel and about everything, of what people did into all.
    pub(super) fn note(
        &mut self,
        open: &[Incident],
        health: &HealthSnapshot,
        control: Option<&Control>,
        advance: &mut Advance,
    ) {
        let mut lines: Vec<(Option<&ChannelId>, String, &'static str, Timestamp, String)> = Vec::new();
        for channel in &health.channels {
            let now = (channel.breaker.state, channel.breaker.since);
            let why = channel.breaker.reason.as_deref().map(ToOwned::to_owned);
            let before = self.breakers.insert(channel.channel.clone(), (now.0, why));
            if before.is_some_and(|before| before.0 != now.0) {
                let reason = channel.breaker.reason.as_deref().unwrap_or("no reason given");
                lines.push((
                    Some(&channel.channel),
                    format!("{} {}", channel.channel, now.1.as_microsecond()),
                    "breaker",
                    now.1,
                    format!(
                        "the breaker of {} is {}: {reason}",
                        channel.channel,
                        now.0.as_str()
                    ),
                ));
            }
        }
        let told = self.follow(control, health.as_of);
        lines.extend(
            told.into_iter()
                .map(|(key, kind, text)| (None, key, kind, health.as_of, text)),
        );
        for (channel, key, kind, at, text) in lines {
            let is_about = |incident: &&Incident| {
                let about = incident.labels.get("channel");
                channel.is_none_or(|channel| about.is_none_or(|about| about == channel.as_str()))
            };
            let open = open.iter().chain(&advance.opened);
            let entries: Vec<Entry> = open
                .filter(is_about)
                .map(|incident| Entry {
                    incident: incident.id,
                    key: format!("{kind} {key}"),
                    at,
                    kind: kind.to_owned(),
                    actor: None,
                    text: text.clone(),
                    content: Value::Null,
                })
                .collect();
            advance.entries.extend(entries);
        }
    }

    /// What people did since the revision that was seen last.
    fn follow(&mut self, control: Option<&Control>, now: Timestamp) -> Vec<(String, &'static str, String)> {
        let Some(control) = control else {
            return Vec::new();
        };
        let is_first = self.revision == 0;
        self.revision = control.revision;
        let mut told = Vec::new();
        let standing = control.suspensions.iter().filter(|one| !one.is_over(now));
        let present: BTreeMap<u64, String> = standing
            .map(|one| (one.id, suspension(&one.suspension)))
            .collect();
        for (id, text) in &present {
            if !self.suspensions.contains_key(id) {
                told.push((
                    format!("{id} begins"),
                    "suspension",
                    format!("{text} is suspended"),
                ));
            }
        }
        for (id, text) in &self.suspensions {
            if !present.contains_key(id) {
                told.push((
                    format!("{id} ends"),
                    "suspension",
                    format!("{text} is no longer suspended"),
                ));
            }
        }
        self.suspensions = present;
        let policy = control.policy.version;
        if self.policy.replace(policy).is_some_and(|before| before != policy) {
            told.push((
                format!("{policy} at {}", control.revision),
                "policy",
                format!("policy {policy} is active"),
            ));
        }
        if is_first { Vec::new() } else { told }
    }

    /// What was done by itself or by hand and holds now.
    pub(super) fn done(&self) -> Vec<Deed> {
        let breakers = self.breakers.iter().filter_map(|(channel, (state, why))| {
            let channel = channel.to_string();
            match state {
                BreakerState::Tripped | BreakerState::Probing => Some(Deed::Tripped {
                    channel,
                    reason: why.as_deref().unwrap_or(state.as_str()).to_owned(),
                }),
                BreakerState::Ramping => Some(Deed::Returning { channel }),
                BreakerState::Healthy
                | BreakerState::ForcedOut
                | BreakerState::ForcedIn
                | BreakerState::ObserveOnly => None,
            }
        });
        let suspended = self.suspensions.values().map(|what| Deed::Suspended {
            what: what.clone(),
            by: "operator".to_owned(),
            until: None,
        });
        breakers.chain(suspended).collect()
    }
}

fn suspension(suspension: &domain::suspension::Suspension) -> String {
    let scope = &suspension.scope;
    let channel = scope.channel.as_ref().map(ToString::to_string);
    let parts = [
        channel.as_deref(),
        scope.issuer.as_deref(),
        scope.region.as_deref(),
        scope.method.as_deref(),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(" × ")
}

/// An impact as it is kept with its incident.
pub(super) fn document(impact: &Impact) -> Value {
    let parts = |parts: &[ledger::Part]| -> Value {
        parts
            .iter()
            .map(|part| json!({"name": part.name, "failed": part.failed}))
            .collect()
    };
    json!({
        "attempts": impact.attempts,
        "failed": impact.failed,
        "unknown": impact.unknown,
        "lost": impact.lost.iter().map(|lost| json!({
            "currency": lost.currency, "payments": lost.payments, "amount_minor": lost.amount_minor,
        })).collect::<Value>(),
        "reasons": parts(&impact.reasons),
        "issuers": parts(&impact.issuers),
        "methods": parts(&impact.methods),
        "channels": parts(&impact.channels),
        "sampled": impact.sampled.iter().map(|one| json!({
            "merchant": one.merchant, "payment": one.payment, "channel": one.channel, "reason": one.reason,
        })).collect::<Value>(),
    })
}
