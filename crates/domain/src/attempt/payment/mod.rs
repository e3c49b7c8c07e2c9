//! A payment as the attempts made at it: whether another may be made, and what to do about a success that was not
//! expected.
//!
//! This is what the guard compares and sets on. At most one attempt of a payment can charge at any time: another is
//! registered only when every earlier one is settled without a debit, and an attempt that was settled can turn out
//! to have charged, but never again to be open. What such a late success leaves behind, two charges, is a duty to
//! pay one of them back.

use jiff::Timestamp;

use super::{Event, Refused, Standing, State, next};
use crate::id::ChannelId;
use crate::money::Money;
use crate::named::named;

/// Which submit of a payment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Which attempt, from 1.
    pub attempt_no: u32,
    /// The attempt itself, or its one retry on the same channel.
    pub submit: Submit,
}

named! {
    /// The attempt itself, or its retry.
    pub enum Submit {
        /// The attempt as Route gave it.
        First = "first",
        /// The one retry on the same channel, after a fault that was provably never acted on.
        Retry = "retry",
    }
}

impl Slot {
    /// The attempt with this number.
    #[must_use]
    pub const fn first(attempt_no: u32) -> Self {
        Self {
            attempt_no,
            submit: Submit::First,
        }
    }

    /// The retry of the attempt with this number.
    #[must_use]
    pub const fn retry(attempt_no: u32) -> Self {
        Self {
            attempt_no,
            submit: Submit::Retry,
        }
    }
}

named! {
    /// Whether the order behind a payment still wants money.
    pub enum Order {
        /// It does.
        Open = "open",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// Its deadline has passed.
        Expired = "expired",
    }
}

/// One attempt of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Made {
    /// Which one.
    pub slot: Slot,
    /// The channel it went to.
    pub channel: ChannelId,
    /// What is known of its money.
    pub state: State,
    /// What the customer was charged, where somebody said so; the payment's amount otherwise.
    pub charged: Option<Money>,
}

/// What a registration comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// The attempt is written down, and may be submitted.
    New,
    /// The same attempt at the same channel was written down before, and this is its state now. Submitting it again
    /// is safe only where it is `submitted` and the provider answers the same key with the first one's result.
    Again(State),
}

/// Why no attempt may be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// An attempt may have charged, or may yet.
    #[error("attempt {} is {state}", slot.attempt_no)]
    Unsettled {
        /// The attempt.
        slot: Slot,
        /// Its state.
        state: State,
    },
    /// An attempt charged, whether it was paid back since or not.
    #[error("attempt {} was paid", slot.attempt_no)]
    Paid {
        /// The attempt.
        slot: Slot,
    },
    /// The order wants no money any more.
    #[error("the order is over")]
    OrderOver,
    /// The number stands for another attempt: it went to another channel, or a later one was made since.
    #[error("attempt number {attempt_no} is taken")]
    Taken {
        /// The number.
        attempt_no: u32,
    },
    /// Only the last attempt may be retried, on its own channel, and only when it was never acted on.
    #[error("attempt {attempt_no} cannot be retried")]
    NotRetriable {
        /// The attempt's number.
        attempt_no: u32,
    },
    /// As many attempts as are allowed were made.
    #[error("all {most} attempts were made")]
    Spent {
        /// How many are allowed.
        most: u32,
    },
}

named! {
    /// Why a charge is paid back.
    pub enum RefundCause {
        /// Another attempt satisfies the payment.
        PaidElsewhere = "paid_elsewhere",
        /// The order was cancelled or has expired.
        OrderOver = "order_over",
        /// The customer was charged another amount, or in another currency, than the payment asks for.
        OtherAmount = "other_amount",
    }
}

/// Something that has to be done about a payment's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duty {
    /// Take the late success as the payment: [`Event::Adopted`].
    Adopt(Slot),
    /// Pay the customer back: [`Event::RefundOrdered`].
    Refund(Slot, RefundCause),
    /// Take back an attempt that may still charge although another one satisfies the payment.
    TakeBack(Slot),
}

/// Why an event cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// It does not fit the attempt's state.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no such attempt.
    #[error("attempt {} was never registered", .0.attempt_no)]
    NoSuchAttempt(Slot),
    /// The attempt cannot be the payment while another one is.
    #[error("attempt {} already satisfies the payment", .0.attempt_no)]
    Satisfied(Slot),
}

/// All that is known of a payment, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    /// What it asks for.
    pub money: Money,
    /// Whether it still does.
    pub order: Order,
    /// Until when it does; `None` when it has no deadline.
    pub expires_at: Option<Timestamp>,
    /// The attempts, in the order in which they were made.
    pub attempts: Vec<Made>,
    /// The attempt that satisfied it first. It stays, though it may have been paid back since: whatever else turns
    /// out to have charged then is no longer wanted.
    pub satisfied_by: Option<Slot>,
}

/// A payment and the attempts made at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payment {
    kept: Kept,
}

impl Payment {
    /// A payment of `money` at which nothing was tried yet.
    #[must_use]
    pub const fn new(money: Money) -> Self {
        Self {
            kept: Kept {
                money,
                order: Order::Open,
                expires_at: None,
                attempts: Vec::new(),
                satisfied_by: None,
            },
        }
    }

    /// The payment as it was written down.
    #[must_use]
    pub const fn restore(kept: Kept) -> Self {
        Self { kept }
    }

    /// What has to be written down to restore the payment.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The attempts that keep another one from being made.
    pub fn blocking(&self) -> impl Iterator<Item = &Made> {
        self.kept
            .attempts
            .iter()
            .filter(|attempt| attempt.state.standing() == Standing::Blocking)
    }

    /// Says that the order was cancelled or has expired. What it wanted once it does not want again.
    ///
    /// Nothing changes once the payment is satisfied: a deadline that passes afterwards must not send the money back,
    /// and to cancel a paid order is a refund, which somebody has to order.
    pub const fn end_order(&mut self, order: Order) {
        if matches!(self.kept.order, Order::Open) && self.kept.satisfied_by.is_none() {
            self.kept.order = order;
        }
    }

    /// Says until when the order wants money. The last word counts, but an order that is over stays so.
    pub const fn expires(&mut self, at: Timestamp) {
        self.kept.expires_at = Some(at);
    }

    /// Lets the time be `now`: the order expires when its deadline has come.
    pub fn pass(&mut self, now: Timestamp) {
        if self.kept.expires_at.is_some_and(|at| at <= now) {
            self.end_order(Order::Expired);
        }
    }

    /// Writes down the attempt at `channel`, which may be submitted then: the caller does so in one step with the
    /// check, and before the first byte leaves. At most `most` attempts are made, their retries not counted.
    ///
    /// # Errors
    /// Why it may not be submitted.
    pub fn register(&mut self, slot: Slot, channel: &ChannelId, most: u32) -> Result<Registration, Blocked> {
        if let Some(made) = self.kept.attempts.iter().find(|made| made.slot == slot) {
            return if made.channel == *channel {
                Ok(Registration::Again(made.state))
            } else {
                Err(Blocked::Taken {
                    attempt_no: slot.attempt_no,
                })
            };
        }
        self.may_register(slot, channel, most)?;
        self.kept.attempts.push(Made {
            slot,
            channel: channel.clone(),
            state: State::Submitted,
            charged: None,
        });
        Ok(Registration::New)
    }

    /// Whether an attempt that was never written down may be.
    fn may_register(&self, slot: Slot, channel: &ChannelId, most: u32) -> Result<(), Blocked> {
        // A charge is said before an open attempt: nothing more is wanted then, whatever becomes of the other.
        if let Some(paid) = self.kept.attempts.iter().find(|made| made.state.was_charged()) {
            return Err(Blocked::Paid { slot: paid.slot });
        }
        if let Some(open) = self.blocking().next() {
            return Err(Blocked::Unsettled {
                slot: open.slot,
                state: open.state,
            });
        }
        if self.kept.order != Order::Open {
            return Err(Blocked::OrderOver);
        }
        let last = self.kept.attempts.last();
        match slot.submit {
            Submit::First => {
                if last.is_some_and(|last| last.slot.attempt_no >= slot.attempt_no) {
                    return Err(Blocked::Taken {
                        attempt_no: slot.attempt_no,
                    });
                }
                let firsts = self
                    .kept
                    .attempts
                    .iter()
                    .filter(|made| made.slot.submit == Submit::First);
                if u32::try_from(firsts.count()).unwrap_or(u32::MAX) >= most {
                    return Err(Blocked::Spent { most });
                }
                Ok(())
            }
            Submit::Retry => last
                .filter(|last| last.slot == Slot::first(slot.attempt_no) && last.channel == *channel)
                .filter(|last| last.state == State::FailedNotProcessed)
                .map(|_| ())
                .ok_or(Blocked::NotRetriable {
                    attempt_no: slot.attempt_no,
                }),
        }
    }

    /// Lets `event` happen to an attempt, and gives its state after it; the same one when nothing is new.
    ///
    /// # Errors
    /// When the event contradicts what is known. Then nothing changes.
    pub fn apply(&mut self, slot: Slot, event: Event) -> Result<State, Misplaced> {
        let satisfied_by = self.kept.satisfied_by;
        let made = self.made(slot)?;
        let after = next(made.state, event)?;
        if event == Event::Adopted
            && let Some(other) = satisfied_by
            && other != slot
        {
            return Err(Misplaced::Satisfied(other));
        }
        made.state = after;
        if satisfied_by.is_none() && after.satisfies_payment() {
            self.kept.satisfied_by = Some(slot);
        }
        Ok(after)
    }

    /// Keeps what somebody says that the customer was charged.
    ///
    /// # Errors
    /// When there is no such attempt.
    pub fn charged(&mut self, slot: Slot, money: Money) -> Result<(), Misplaced> {
        self.made(slot)?.charged = Some(money);
        Ok(())
    }

    fn made(&mut self, slot: Slot) -> Result<&mut Made, Misplaced> {
        self.kept
            .attempts
            .iter_mut()
            .find(|made| made.slot == slot)
            .ok_or(Misplaced::NoSuchAttempt(slot))
    }

    /// What has to be done, in the order of the attempts; nothing when at most one charge stands and it is the
    /// payment.
    ///
    /// A success of an attempt that was open all the time is never sent back for its amount alone: the caller was
    /// told of it at once, and knows what it asked for.
    #[must_use]
    pub fn duties(&self) -> Vec<Duty> {
        let mut satisfied_by = self.kept.satisfied_by;
        let mut duties = Vec::new();
        for made in &self.kept.attempts {
            let duty = match made.state {
                State::LateSuccess => {
                    let duty = self.about_late(made, satisfied_by);
                    if matches!(duty, Duty::Adopt(_)) {
                        // Of two late successes only one is adopted.
                        satisfied_by = Some(made.slot);
                    }
                    Some(duty)
                }
                state if state.satisfies_payment() => self
                    .over_or_elsewhere(made.slot, satisfied_by)
                    .map(|cause| Duty::Refund(made.slot, cause)),
                state if state.may_charge() && satisfied_by.is_some() => Some(Duty::TakeBack(made.slot)),
                _ => None,
            };
            duties.extend(duty);
        }
        duties
    }

    /// What to do about the late success `made`.
    fn about_late(&self, made: &Made, satisfied_by: Option<Slot>) -> Duty {
        let other_amount = made.charged.is_some_and(|charged| charged != self.kept.money);
        let cause = self
            .over_or_elsewhere(made.slot, satisfied_by)
            .or(other_amount.then_some(RefundCause::OtherAmount));
        cause.map_or(Duty::Adopt(made.slot), |cause| Duty::Refund(made.slot, cause))
    }

    fn over_or_elsewhere(&self, slot: Slot, satisfied_by: Option<Slot>) -> Option<RefundCause> {
        if satisfied_by.is_some_and(|other| other != slot) {
            return Some(RefundCause::PaidElsewhere);
        }
        (self.kept.order != Order::Open).then_some(RefundCause::OrderOver)
    }
}

#[cfg(test)]
mod tests;
