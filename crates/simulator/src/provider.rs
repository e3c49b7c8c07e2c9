//! The providers behind the channels: they work on attempts, answer queries, take back, and keep the true charges.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::id::{MerchantId, PaymentId};
use domain::money::Money;
use domain::outcome::OutcomeClass;
use domain::payment::Attributes;

use crate::fate::{Delivery, Fate, Work};
use crate::world::{ChannelIndex, Load, Visit, World};

/// A repeated submit of a settled attempt is answered from the provider's memory, this fast. Ours.
const REPLAY_AFTER: Duration = Duration::from_millis(20);

/// An answer on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How long after the submit it arrives.
    pub after: Duration,
    /// What the provider decided.
    pub class: OutcomeClass,
    /// In the provider's words.
    pub code: Arc<str>,
    /// A second copy arrives this much later, if one does.
    pub repeated_after: Option<Duration>,
}

/// What comes of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The answer; `None` when none ever comes. A caller cannot tell `None` from slow: its own timeout decides.
    pub answer: Option<Answer>,
    /// The provider had worked on this key before, and did nothing new.
    pub replayed: bool,
}

/// What a query finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// The money was taken, and is still taken.
    Paid,
    /// No money was taken or it was given back, and none will be.
    NotPaid,
    /// Still in work: ask again.
    Processing,
    /// The provider has never heard of it.
    NotFound,
}

/// What taking an attempt back did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// The money was given back, now or by an earlier reversal.
    Reversed,
    /// No money had been taken, and none will be: the attempt is closed, even if its request still arrives.
    NothingToReverse,
}

/// The providers of all channels of a world.
///
/// Time is an argument, since the start of the scenario, and must not go back.
#[derive(Debug)]
pub struct Providers {
    world: Arc<World>,
    desks: Vec<Desk>,
}

/// One channel's provider.
#[derive(Debug, Default)]
struct Desk {
    load: Load,
    attempts: HashMap<String, Attempt>,
}

/// What a provider knows of an attempt key.
#[derive(Clone, Debug)]
struct Attempt {
    owner: (MerchantId, PaymentId),
    amount: Money,
    submitted_at: Duration,
    fate: Fate,
    code: Option<Arc<str>>,
    closed_at: Option<Duration>,
}

impl Attempt {
    /// When its money moved or will move; `None` when it never does, because it failed or was closed before.
    fn charged_at(&self) -> Option<Duration> {
        let charged_at = self.submitted_at + self.fate.charged_after()?;
        self.closed_at
            .is_none_or(|closed_at| charged_at <= closed_at)
            .then_some(charged_at)
    }

    fn charged_by(&self, now: Duration) -> bool {
        self.charged_at().is_some_and(|charged_at| charged_at <= now)
    }

    fn reversed_by(&self, now: Duration) -> bool {
        self.charged_by(now) && self.closed_at.is_some_and(|closed_at| closed_at <= now)
    }
}

impl Providers {
    /// Providers that have seen nothing yet.
    #[must_use]
    pub fn of(world: Arc<World>) -> Self {
        let desks = world.channels().map(|_| Desk::default()).collect();
        Self { world, desks }
    }

    /// The world they work in.
    #[must_use]
    pub const fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Submits attempt `payment.attempt_no` of `payment` to `channel` under `attempt_key`, the provider's idempotency
    /// key.
    ///
    /// A key that the provider knows is answered with its first result and charges nothing. A key whose request never
    /// arrived is unknown to it, and is worked on now.
    pub fn submit(
        &mut self,
        channel: ChannelIndex,
        attempt_key: &str,
        payment: &Attributes,
        now: Duration,
    ) -> Submission {
        let Some(desk) = self.desks.get_mut(channel.place()) else {
            return Submission {
                answer: None,
                replayed: false,
            };
        };
        let load_tps = desk.load.arrive(now);
        let known = desk.attempts.get(attempt_key);
        if let Some(known) =
            known.filter(|known| known.closed_at.is_some() || known.fate.0 != Work::Swallowed)
        {
            return Submission {
                answer: replay(known, now),
                replayed: true,
            };
        }
        let visit = Visit {
            channel,
            payment,
            attempt_no: payment.attempt_no,
            at: now,
            load_tps,
        };
        let fate = self.world.fate(&visit);
        let code = match fate.0 {
            Work::Done { class, .. } => Some(self.world.code(&visit, class)),
            Work::Swallowed | Work::Stuck { .. } => None,
        };
        let attempt = Attempt {
            owner: (payment.merchant.clone(), payment.payment.clone()),
            amount: payment.amount,
            submitted_at: now,
            fate,
            code,
            closed_at: None,
        };
        let answer = first_answer(&attempt);
        desk.attempts.insert(attempt_key.to_owned(), attempt);
        Submission {
            answer,
            replayed: false,
        }
    }

    /// What became of `attempt_key` on `channel`, as of `now`. Always the truth, and always answered: also in an
    /// outage, because providers run queries apart from payments.
    #[must_use]
    pub fn query(&self, channel: ChannelIndex, attempt_key: &str, now: Duration) -> QueryResult {
        let Some(attempt) = self.attempt(channel, attempt_key) else {
            return QueryResult::NotFound;
        };
        if attempt.charged_by(now) {
            return if attempt.reversed_by(now) {
                QueryResult::NotPaid
            } else {
                QueryResult::Paid
            };
        }
        if attempt.closed_at.is_some_and(|closed_at| closed_at <= now) {
            return QueryResult::NotPaid;
        }
        match attempt.fate.settled_after() {
            None => QueryResult::NotFound,
            Some(after) if attempt.submitted_at + after > now => QueryResult::Processing,
            Some(_) => QueryResult::NotPaid,
        }
    }

    /// Takes `attempt_key` back, which is of `payment`: gives the money back, or closes the attempt so that none will
    /// be taken.
    pub fn reverse(
        &mut self,
        channel: ChannelIndex,
        attempt_key: &str,
        payment: &Attributes,
        now: Duration,
    ) -> Reversal {
        let Some(desk) = self.desks.get_mut(channel.place()) else {
            return Reversal::NothingToReverse;
        };
        let attempt = desk
            .attempts
            .entry(attempt_key.to_owned())
            .or_insert_with(|| Attempt {
                owner: (payment.merchant.clone(), payment.payment.clone()),
                amount: payment.amount,
                submitted_at: now,
                fate: Fate(Work::Swallowed),
                code: None,
                closed_at: Some(now),
            });
        attempt.closed_at.get_or_insert(now);
        if attempt.charged_by(now) {
            Reversal::Reversed
        } else {
            Reversal::NothingToReverse
        }
    }

    /// Whether the answer to `attempt_key` may still be given: not after the attempt was closed in the middle of it.
    pub(crate) fn is_closed(&self, channel: ChannelIndex, attempt_key: &str) -> bool {
        self.attempt(channel, attempt_key)
            .is_some_and(|attempt| attempt.closed_at.is_some())
    }

    fn attempt(&self, channel: ChannelIndex, attempt_key: &str) -> Option<&Attempt> {
        self.desks.get(channel.place())?.attempts.get(attempt_key)
    }

    /// Counts the true charges as of `now`. `ordered` says whether the shop holds a payment for paid.
    #[must_use]
    pub fn audit(&self, now: Duration, ordered: impl Fn(&MerchantId, &PaymentId) -> bool) -> Audit {
        let mut audit = Audit::default();
        let mut standing: BTreeMap<&(MerchantId, PaymentId), usize> = BTreeMap::new();
        let attempts = self.desks.iter().flat_map(|desk| desk.attempts.values());
        for attempt in attempts.filter(|attempt| attempt.charged_by(now)) {
            audit.charges += 1;
            if attempt.reversed_by(now) {
                audit.reversals += 1;
            } else {
                *standing.entry(&attempt.owner).or_default() += 1;
                audit.standing_minor = audit.standing_minor.saturating_add(attempt.amount.minor());
            }
        }
        audit.charged_payments = standing.len();
        audit.double_charges = standing.values().filter(|charges| **charges > 1).count();
        audit.charged_without_order = standing
            .keys()
            .filter(|(merchant, payment)| !ordered(merchant, payment))
            .count();
        audit
    }
}

/// What the books of all providers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// How often money was taken.
    pub charges: usize,
    /// How often it was given back.
    pub reversals: usize,
    /// Payments for which money is held.
    pub charged_payments: usize,
    /// Payments for which money is held more than once, over all channels.
    pub double_charges: usize,
    /// Payments for which money is held that the shop does not hold for paid.
    pub charged_without_order: usize,
    /// All the money held, in minor units.
    pub standing_minor: i64,
}

fn first_answer(attempt: &Attempt) -> Option<Answer> {
    let (after, class) = attempt.fate.answer()?;
    let repeated_after = match attempt.fate.0 {
        Work::Done {
            delivery: Delivery::Twice(gap),
            ..
        } => Some(gap),
        Work::Done { .. } | Work::Stuck { .. } | Work::Swallowed => None,
    };
    Some(Answer {
        after,
        class,
        code: attempt.code.clone()?,
        repeated_after,
    })
}

/// The answer to a key that the provider knows. A lost answer is found again this way; a stuck one is not.
fn replay(attempt: &Attempt, now: Duration) -> Option<Answer> {
    if attempt.closed_at.is_some() {
        return None;
    }
    let Work::Done {
        class,
        answered_after,
        ..
    } = attempt.fate.0
    else {
        return None;
    };
    let left = (attempt.submitted_at + answered_after).saturating_sub(now);
    Some(Answer {
        after: left.max(REPLAY_AFTER),
        class,
        code: attempt.code.clone()?,
        repeated_after: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::shopper::{Arrivals, Shopper};
    use proptest::prelude::*;

    const LATER: Duration = Duration::from_mins(10);

    struct Shop {
        providers: Providers,
        shoppers: Vec<Shopper>,
        channel: ChannelIndex,
    }

    /// A shop on the channel that has the outage, with its first `shoppers` customers.
    fn shop_with(shoppers: usize) -> Shop {
        let world = fixture::world(9);
        let (channel, _) = world.channels().next().unwrap();
        Shop {
            shoppers: Arrivals::of(Arc::clone(&world)).take(shoppers).collect(),
            providers: Providers::of(world),
            channel,
        }
    }

    fn shop() -> Shop {
        shop_with(2_000)
    }

    impl Shop {
        fn submit(&mut self, key: &str, shopper: usize, now: Duration) -> Submission {
            let payment = &self.shoppers[shopper].payment;
            self.providers.submit(self.channel, key, payment, now)
        }

        fn query(&self, key: &str, now: Duration) -> QueryResult {
            self.providers.query(self.channel, key, now)
        }

        fn reverse(&mut self, key: &str, shopper: usize, now: Duration) -> Reversal {
            let payment = &self.shoppers[shopper].payment;
            self.providers.reverse(self.channel, key, payment, now)
        }

        fn fate(&self, shopper: usize, at: Duration) -> Fate {
            let visit = fixture::visit(self.channel, &self.shoppers[shopper], at);
            self.providers.world.fate(&visit)
        }

        /// A shopper whose attempt at `at` meets a fate that is `wanted`.
        fn find(&self, at: Duration, wanted: impl Fn(&Fate) -> bool) -> usize {
            let mut shoppers = 0..self.shoppers.len();
            shoppers.find(|shopper| wanted(&self.fate(*shopper, at))).unwrap()
        }

        fn audit(&self) -> Audit {
            self.providers.audit(LATER, |_, _| true)
        }
    }

    fn paid(fate: &Fate) -> bool {
        fate.charged_after().is_some() && fate.answer().is_some()
    }

    #[test]
    fn a_repeated_key_is_answered_alike_and_charged_once() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        let first = shop.submit("key", lucky, Duration::ZERO).answer.unwrap();
        let again = shop.submit("key", lucky, Duration::from_secs(3));
        let repeated = again.answer.unwrap();
        assert!(again.replayed);
        assert_eq!((repeated.class, &repeated.code), (first.class, &first.code));
        assert_eq!(shop.audit().charges, 1);
    }

    #[test]
    fn a_repeat_in_the_middle_is_answered_with_the_first() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        let first = shop.submit("key", lucky, Duration::ZERO).answer.unwrap();
        let middle = first.after / 2;
        let repeated = shop.submit("key", lucky, middle).answer.unwrap();
        assert_eq!(middle + repeated.after, first.after.max(middle + REPLAY_AFTER));
    }

    #[test]
    fn two_keys_for_one_payment_are_a_double_charge() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        shop.submit("one", lucky, Duration::ZERO);
        shop.submit("two", lucky, Duration::ZERO);
        let audit = shop.audit();
        assert_eq!(
            (audit.charges, audit.charged_payments, audit.double_charges),
            (2, 1, 1)
        );
    }

    #[test]
    fn a_reversed_charge_is_not_doubled() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        shop.submit("one", lucky, Duration::ZERO);
        shop.submit("two", lucky, Duration::ZERO);
        assert_eq!(
            shop.reverse("two", lucky, Duration::from_secs(30)),
            Reversal::Reversed
        );
        let audit = shop.audit();
        assert_eq!((audit.charges, audit.reversals, audit.double_charges), (2, 1, 0));
        assert_eq!(shop.query("two", LATER), QueryResult::NotPaid);
        assert_eq!(shop.query("one", LATER), QueryResult::Paid);
    }

    #[test]
    fn a_charge_that_the_shop_does_not_know_is_counted() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        shop.submit("one", lucky, Duration::ZERO);
        assert_eq!(shop.providers.audit(LATER, |_, _| false).charged_without_order, 1);
        assert_eq!(shop.providers.audit(LATER, |_, _| true).charged_without_order, 0);
        assert_eq!(shop.providers.audit(Duration::ZERO, |_, _| false).charges, 0);
    }

    #[test]
    fn a_query_says_processing_until_the_money_moved() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        let charged = shop.fate(lucky, Duration::ZERO).charged_after().unwrap();
        shop.submit("key", lucky, Duration::ZERO);
        assert_eq!(
            shop.query("key", charged.saturating_sub(Duration::from_micros(1))),
            QueryResult::Processing
        );
        assert_eq!(shop.query("key", charged), QueryResult::Paid);
    }

    #[test]
    fn in_an_outage_queries_agree_with_the_books() {
        let mut shop = shop();
        let at = Duration::from_mins(1);
        let mut found_paid = 0;
        for shopper in 0..1_000 {
            let key = format!("key-{shopper}");
            let charged = shop.fate(shopper, at).charged_after().is_some();
            shop.submit(&key, shopper, at);
            let result = shop.query(&key, LATER);
            assert_eq!(result == QueryResult::Paid, charged);
            assert_ne!(result, QueryResult::Processing);
            found_paid += usize::from(charged);
        }
        assert!(found_paid > 100, "{found_paid}");
        assert_eq!(shop.audit().charged_payments, found_paid);
    }

    #[test]
    fn a_request_that_never_arrived_is_worked_on_when_it_comes_again() {
        let mut shop = shop();
        let outage = Duration::from_mins(1);
        let quiet = Duration::from_secs(100);
        let shopper = (0..shop.shoppers.len())
            .find(|shopper| {
                shop.fate(*shopper, outage).0 == Work::Swallowed && paid(&shop.fate(*shopper, quiet))
            })
            .unwrap();
        assert_eq!(shop.submit("key", shopper, outage).answer, None);
        assert_eq!(shop.query("key", outage), QueryResult::NotFound);
        let again = shop.submit("key", shopper, quiet);
        assert!(!again.replayed);
        assert_eq!(again.answer.unwrap().class, OutcomeClass::Success);
        assert_eq!(shop.audit().charges, 1);
    }

    #[test]
    fn a_lost_answer_is_found_by_the_same_key() {
        let mut shop = shop();
        let outage = Duration::from_mins(1);
        let shopper = shop.find(outage, |fate| fate.charged_after().is_some());
        assert_eq!(shop.submit("key", shopper, outage).answer, None);
        let again = shop.submit("key", shopper, Duration::from_secs(70));
        assert_eq!(again.answer.unwrap().class, OutcomeClass::Success);
        assert_eq!(shop.audit().charges, 1);
    }

    #[test]
    fn an_attempt_closed_before_its_charge_is_never_charged() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        shop.submit("key", lucky, Duration::ZERO);
        assert_eq!(
            shop.reverse("key", lucky, Duration::from_micros(1)),
            Reversal::NothingToReverse
        );
        assert_eq!(shop.query("key", LATER), QueryResult::NotPaid);
        assert_eq!(shop.audit().charges, 0);
    }

    #[test]
    fn a_request_that_comes_after_its_reversal_charges_nothing() {
        let mut shop = shop();
        let lucky = shop.find(Duration::ZERO, paid);
        assert_eq!(
            shop.reverse("key", lucky, Duration::ZERO),
            Reversal::NothingToReverse
        );
        let late = shop.submit("key", lucky, Duration::from_millis(5));
        assert!(late.replayed && late.answer.is_none());
        assert_eq!(shop.audit().charges, 0);
    }

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Submit,
        Query,
        Reverse,
    }

    fn call() -> impl Strategy<Value = Call> {
        prop_oneof![Just(Call::Submit), Just(Call::Query), Just(Call::Reverse)]
    }

    proptest! {
        /// Whatever a caller does with one key, in whatever order: no payment is charged twice, and an answer that was
        /// final stays final.
        #[test]
        fn one_key_per_payment_never_charges_twice(
            calls in prop::collection::vec((0_usize..5, call(), 0_u64..3_000), 1..60),
        ) {
            let mut shop = shop_with(5);
            let mut now = Duration::from_secs(30);
            let mut last: BTreeMap<usize, QueryResult> = BTreeMap::new();
            for (shopper, call, pause_ms) in calls {
                now += Duration::from_millis(pause_ms);
                let key = format!("key-{shopper}");
                match call {
                    Call::Submit => {
                        shop.submit(&key, shopper, now);
                    }
                    Call::Reverse => {
                        shop.reverse(&key, shopper, now);
                        last.insert(shopper, QueryResult::NotPaid);
                        prop_assert_eq!(shop.query(&key, now), QueryResult::NotPaid);
                    }
                    Call::Query => {
                        let found = shop.query(&key, now);
                        if let Some(QueryResult::Paid | QueryResult::NotPaid) = last.get(&shopper) {
                            prop_assert_eq!(Some(&found), last.get(&shopper));
                        }
                        last.insert(shopper, found);
                    }
                }
            }
            let audit = shop.audit();
            prop_assert_eq!(audit.double_charges, 0);
            prop_assert_eq!(audit.charged_payments, audit.charges - audit.reversals);
        }
    }
}
