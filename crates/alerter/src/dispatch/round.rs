//! One look for what is due, and the tries that begin with it.

use std::collections::{BTreeMap, BTreeSet};

use delivery::throttle::Decision;
use jiff::Timestamp;
use ledger::delivery::{Claim, End, Leased, Settlement, Waiting};
use metrics::counter;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::deliver::Try;
use super::pacing::Pacing;
use super::{AT_ONCE, Dispatcher, JOINED, LEASE};
use crate::metric;

/// What a worker has under way.
#[derive(Debug)]
pub(super) struct Round {
    dispatcher: Dispatcher,
    stop: CancellationToken,
    under_way: BTreeMap<String, u32>,
}

/// What to claim for a receiver.
struct Plan {
    limit: u32,
    joined: bool,
    pacing: Pacing,
}

impl Round {
    pub(super) fn new(dispatcher: Dispatcher, stop: CancellationToken) -> Self {
        Self {
            dispatcher,
            stop,
            under_way: BTreeMap::new(),
        }
    }

    /// Begins tries in `tries`, as many as there is room for.
    pub(super) async fn look(&mut self, tries: &mut JoinSet<String>) {
        let free = |name: &&str| self.under_way.get(*name).is_none_or(|count| *count < AT_ONCE);
        let known = self.dispatcher.parts.receivers.names().filter(free);
        let mut receivers: BTreeSet<String> = known.map(ToOwned::to_owned).collect();
        receivers.extend(self.dispatcher.parts.receivers.strangers());
        let receivers: Vec<String> = receivers.into_iter().collect();
        let due = match self.dispatcher.parts.store.due(&receivers).await {
            Ok(due) => due,
            Err(error) => {
                counter!(metric::STORE_ERRORS).increment(1);
                tracing::warn!(%error, "cannot look for what is to be sent: {error}");
                return;
            }
        };
        for waiting in due.waiting {
            self.begin(waiting, due.now, tries).await;
        }
    }

    async fn begin(&mut self, waiting: Waiting, now: Timestamp, tries: &mut JoinSet<String>) {
        let Some(plan) = self.plan(&waiting, now) else {
            return;
        };
        let token = Uuid::now_v7();
        let claim = Claim {
            receiver: waiting.receiver.clone(),
            token,
            limit: plan.limit,
            lease: LEASE,
            pace: plan.pacing.write(&waiting.pace),
        };
        let claimed = match self.dispatcher.parts.store.claim(&claim).await {
            Ok(Some(claimed)) => claimed,
            // Another worker was faster: the next look sees what it left.
            Ok(None) => return,
            Err(error) => {
                counter!(metric::STORE_ERRORS).increment(1);
                tracing::warn!(%error, "cannot claim what is to be sent: {error}");
                return;
            }
        };
        if claimed.deliveries.is_empty() {
            return;
        }
        if self.stop.is_cancelled() {
            self.give_back(token, &claimed.deliveries).await;
            return;
        }
        for deliveries in parcels(claimed.deliveries, plan.joined) {
            *self.under_way.entry(waiting.receiver.clone()).or_default() += 1;
            let attempt = Try {
                dispatcher: self.dispatcher.clone(),
                receiver: waiting.receiver.clone(),
                token,
                now: claimed.now,
                deliveries,
                broken_since: plan.pacing.broken_since,
            };
            tries.spawn(attempt.run());
        }
    }

    /// What to claim of what waits; `None` for nothing now.
    fn plan(&self, waiting: &Waiting, now: Timestamp) -> Option<Plan> {
        let under_way = self.under_way.get(&waiting.receiver).copied().unwrap_or_default();
        let room = AT_ONCE.saturating_sub(under_way);
        let mut pacing = Pacing::read(&waiting.pace);
        let Some(sender) = self.dispatcher.parts.receivers.sender(&waiting.receiver) else {
            // Only to say that nobody is there; no rate holds it up.
            return (room > 0).then_some(Plan {
                limit: room,
                joined: false,
                pacing,
            });
        };
        let receiver = sender.receiver();
        let mut throttle = pacing.throttle(receiver.rate);
        let count = usize::try_from(waiting.count).unwrap_or(usize::MAX);
        let joins = receiver.target.vendor().joins_pages();
        let (limit, joined) = match throttle.decide(count, joins, now) {
            Decision::Idle | Decision::WaitUntil(_) => return None,
            Decision::Each(count) => (room.min(u32::try_from(count).unwrap_or(u32::MAX)), false),
            Decision::Join => (if room > 0 { JOINED } else { 0 }, true),
        };
        if limit == 0 {
            return None;
        }
        for _ in 0..(if joined { 1 } else { limit }) {
            throttle.sent(now);
        }
        pacing.sent = throttle.state(now);
        Some(Plan {
            limit,
            joined,
            pacing,
        })
    }

    async fn give_back(&self, token: Uuid, deliveries: &[Leased]) {
        let ids = deliveries.iter().map(|leased| leased.id).collect();
        let settlement = Settlement::of(token, ids, End::Released);
        if let Err(error) = self.dispatcher.parts.store.settle(&settlement).await {
            tracing::warn!(%error, "what was claimed is free when its lease has run out: {error}");
        }
    }

    /// Takes back the room of a try that has ended.
    pub(super) fn end(&mut self, ended: Result<String, JoinError>) {
        match ended {
            Ok(receiver) => {
                if let Some(count) = self.under_way.get_mut(&receiver) {
                    *count = count.saturating_sub(1);
                }
            }
            // A bug, and the name of the receiver is lost with it: its room comes back with all the others'.
            Err(error) => {
                tracing::error!(%error, "a try ended badly: {error}");
                self.under_way.clear();
            }
        }
    }
}

/// What goes into one message each.
fn parcels(deliveries: Vec<Leased>, joined: bool) -> Vec<Vec<Leased>> {
    if joined {
        vec![deliveries]
    } else {
        deliveries.into_iter().map(|leased| vec![leased]).collect()
    }
}
