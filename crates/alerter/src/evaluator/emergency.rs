//! The way out when the store is away: one static receiver, told directly.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use delivery::message::Page;
use jiff::{SignedDuration, Timestamp};
use metrics::counter;

use super::metric;
use super::name;
use super::page::store_down;
use crate::emergency::{Emergency as Way, Told};

/// How long a page to the emergency receiver is not repeated after it failed.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Tells somebody without the store.
pub trait Emergency: Send + Sync + fmt::Debug {
    /// Sends `page`; whether it was accepted.
    fn tell<'a>(&'a self, page: &'a Page) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

impl Emergency for Way {
    fn tell<'a>(&'a self, page: &'a Page) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let parts = [
                "emergency",
                &page.dedup_key,
                page.status.as_str(),
                &page.done.join("\n"),
            ];
            let id = name::of(page.since, &parts).to_string();
            match self.page(&id, page.clone()).await {
                Told::Delivered => true,
                Told::Failed(why) => {
                    tracing::error!(why, "the emergency receiver does not take the page: {why}");
                    false
                }
                Told::Nobody => false,
            }
        })
    }
}

/// How long the store has been away, and who was told.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Timestamp>,
    told: bool,
    /// The alerts that were told meanwhile.
    firing: Vec<String>,
    tried_at: Option<Timestamp>,
}

impl Outage {
    /// Whether the store is away.
    pub(super) const fn goes_on(&self) -> bool {
        self.since.is_some()
    }

    /// The store did not answer at `now`, and these alerts fire. Tells the emergency receiver once it has been away
    /// for `patience`, and again of what fires anew.
    pub(super) async fn note(
        &mut self,
        emergency: Option<&Arc<dyn Emergency>>,
        firing: Vec<String>,
        patience: SignedDuration,
        now: Timestamp,
    ) {
        let since = *self.since.get_or_insert(now);
        let is_new = firing.iter().any(|one| !self.firing.contains(one));
        let is_due = now.duration_since(since) >= patience && (!self.told || is_new);
        let may_try = self.tried_at.is_none_or(|at| now.duration_since(at) >= AGAIN);
        let (Some(emergency), true, true) = (emergency, is_due, may_try) else {
            return;
        };
        self.tried_at = Some(now);
        tracing::error!("the store of alerts has not answered since {since}: telling the emergency receiver");
        if emergency.tell(&store_down(since, None, &firing)).await {
            counter!(metric::EMERGENCIES).increment(1);
            self.told = true;
            self.firing = firing;
        }
    }

    /// The store answers. Tells the end to whoever was told the beginning.
    pub(super) async fn end(&mut self, emergency: Option<&Arc<dyn Emergency>>, now: Timestamp) {
        let (Some(since), true) = (self.since, self.told) else {
            *self = Self::default();
            return;
        };
        let Some(emergency) = emergency else { return };
        let may_try = self.tried_at.is_none_or(|at| now.duration_since(at) >= AGAIN);
        if may_try {
            self.tried_at = Some(now);
            if emergency.tell(&store_down(since, Some(now), &[])).await {
                *self = Self::default();
            }
        }
    }
}
