//! One try: the message out, the answer judged, the result written.

use std::time::Duration;

use delivery::digest::digest;
use delivery::format::{CredentialId, Parcel};
use delivery::judge::{Cause, Verdict};
use delivery::message::{Message, Page};
use delivery::sender::{Attempt, Sender};
use jiff::Timestamp;
use ledger::delivery::{Class, End, Leased, Settlement};
use metrics::{counter, histogram};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::outcome::{self, Context};
use super::pacing::Pacing;
use super::{Dispatcher, LEASE, broken};
use crate::metric;

/// How long a worker waits before it writes a result again that the ledger did not take.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// How often a change of a receiver's pace is tried that another worker was faster than.
const PACE_TRIES: usize = 5;

/// Deliveries that go out as one message.
pub(super) struct Try {
    pub(super) dispatcher: Dispatcher,
    pub(super) receiver: String,
    pub(super) token: Uuid,
    /// The ledger's time of the claim.
    pub(super) now: Timestamp,
    pub(super) deliveries: Vec<Leased>,
    pub(super) broken_since: Option<Timestamp>,
}

impl Try {
    /// Sends, and writes what became of it; gives back the name of the receiver.
    pub(super) async fn run(self) -> String {
        let began = Instant::now();
        if self.is_too_late() {
            self.drop_it(began).await;
            return self.receiver;
        }
        let sender = self.dispatcher.parts.receivers.sender(&self.receiver).cloned();
        let attempt = match sender {
            Some(sender) => self.send(&sender).await,
            None => unsent(Cause::Unreachable(format!(
                "receiver `{}` is not configured here",
                self.receiver
            ))),
        };
        histogram!(metric::SECONDS, "receiver" => self.receiver.clone())
            .record(began.elapsed().as_secs_f64());
        if attempt.template_failed {
            let receiver = &self.receiver;
            tracing::warn!(
                receiver,
                "the template of receiver {receiver} failed; the built-in message was sent"
            );
        }
        let settlement = self.settlement(&attempt);
        let (result, error) = (
            outcome::word(settlement.end),
            settlement.error.clone().unwrap_or_default(),
        );
        let count = u64::try_from(self.deliveries.len()).unwrap_or(u64::MAX);
        counter!(metric::DELIVERIES, "receiver" => self.receiver.clone(), "result" => result)
            .increment(count);
        if !error.is_empty() {
            let (receiver, ids) = (&self.receiver, &settlement.ids);
            tracing::warn!(receiver, ?ids, "not delivered to {receiver} ({result}): {error}");
        }
        self.tell_the_others(&attempt, &settlement).await;
        self.write(&settlement, began).await;
        self.receiver
    }

    /// Whether nobody wants to hear of it any more.
    fn is_too_late(&self) -> bool {
        self.message().is_ok_and(|message| message.is_too_late(self.now))
    }

    /// Writes that it is not sent. The receiver is not to blame for it.
    async fn drop_it(&self, began: Instant) {
        let ids = self.deliveries.iter().map(|leased| leased.id).collect();
        let settlement = Settlement {
            error: Some("it was too late to tell of it".to_owned()),
            ..Settlement::of(self.token, ids, End::Superseded)
        };
        let result = outcome::word(settlement.end);
        counter!(metric::DELIVERIES, "receiver" => self.receiver.clone(), "result" => result).increment(1);
        self.write(&settlement, began).await;
    }

    async fn send(&self, sender: &Sender) -> Attempt {
        let [first, ..] = &*self.deliveries else {
            return unsent(Cause::Lost("there was nothing to send".to_owned()));
        };
        if first.uncertain
            && first.class == Class::Notice
            && !sender.receiver().target.vendor().knows_repetitions()
        {
            let lost = "its answer was lost, and a customer is not told twice".to_owned();
            return Attempt {
                verdict: Verdict::Refused(Cause::Lost(lost)),
                credential: None,
                template_failed: false,
            };
        }
        let message = match self.message() {
            Ok(message) => message,
            Err(problem) => return refused(problem),
        };
        let id = first.id.to_string();
        let credential = first.credential.as_ref().and_then(|text| credential(text));
        let parcel = Parcel {
            id: &id,
            message: &message,
            now: self.dispatcher.parts.clock.now(),
            credential: credential.as_ref(),
        };
        sender.send(parcel).await
    }

    /// What goes out: the message, or one page that stands for all.
    fn message(&self) -> Result<Message, String> {
        let read = |leased: &Leased| -> Result<Message, String> {
            serde_json::from_value(leased.message.clone())
                .map_err(|error| format!("the message cannot be read: {error}"))
        };
        let [only] = &*self.deliveries else {
            let pages = self
                .deliveries
                .iter()
                .map(read)
                .filter_map(|message| match message {
                    Ok(Message::Page(page)) => Some(*page),
                    _ => None,
                });
            let pages: Vec<Page> = pages.collect();
            let joined = digest(&pages).filter(|_| pages.len() == self.deliveries.len());
            return joined
                .map(|page| Message::Page(Box::new(page)))
                .ok_or_else(|| "what is no page cannot be joined with pages".to_owned());
        };
        read(only)
    }

    fn settlement(&self, attempt: &Attempt) -> Settlement {
        let receivers = &self.dispatcher.parts.receivers;
        let context = Context {
            receiver: &self.receiver,
            stand_in: receivers.stand_in(&self.receiver),
            now: self.now,
            broken_since: self.broken_since,
        };
        let mut rng = self.dispatcher.rng.lock();
        outcome::settle(&context, (self.token, &self.deliveries), attempt, &mut *rng)
    }

    /// Writes for the other workers what they must know of the receiver: that it wants silence, that it is broken, that
    /// it is well again.
    async fn tell_the_others(&self, attempt: &Attempt, settlement: &Settlement) {
        let broken = broken::since(settlement.end, self.now, self.broken_since);
        let mute = match &attempt.verdict {
            Verdict::RateLimited { wait, .. } => Some(*wait),
            Verdict::Delivered | Verdict::Retry { .. } | Verdict::Refused(_) => None,
        };
        if mute.is_none() && broken == self.broken_since {
            return;
        }
        let (store, receivers) = (&self.dispatcher.parts.store, &self.dispatcher.parts.receivers);
        for _ in 0..PACE_TRIES {
            let Ok(pace) = store.pace(&self.receiver).await else {
                break;
            };
            let mut pacing = Pacing::read(&pace);
            pacing.broken_since = broken;
            if let (Some(wait), Some(sender)) = (mute, receivers.sender(&self.receiver)) {
                let mut throttle = pacing.throttle(sender.receiver().rate);
                throttle.mute(self.now, wait);
                pacing.sent = throttle.state(self.now);
            }
            match store.set_pace(&self.receiver, &pacing.write(&pace)).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(_) => break,
            }
        }
        tracing::warn!(
            "other workers were not told of the state of receiver {}",
            self.receiver
        );
    }

    /// Writes the result, again and again while the lease holds.
    async fn write(&self, settlement: &Settlement, began: Instant) {
        while let Err(error) = self.dispatcher.parts.store.settle(settlement).await {
            counter!(metric::STORE_ERRORS).increment(1);
            if !error.is_failing_store() || began.elapsed() + WRITE_AGAIN >= LEASE {
                let ids = &settlement.ids;
                tracing::error!(%error, ?ids, "what became of a try is not written, it will be made again: {error}");
                return;
            }
            sleep(WRITE_AGAIN).await;
        }
    }
}

/// A key as the ledger has it.
fn credential(text: &str) -> Option<CredentialId> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

fn unsent(cause: Cause) -> Attempt {
    Attempt {
        verdict: Verdict::Retry { cause, wait: None },
        credential: None,
        template_failed: false,
    }
}

fn refused(problem: String) -> Attempt {
    Attempt {
        verdict: Verdict::Refused(Cause::Forbidden(problem)),
        credential: None,
        template_failed: false,
    }
}
