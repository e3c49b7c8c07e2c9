//! Conditions of a rule: what they mean for a payment, and how they read.

use std::cell::Cell;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::attribute::{NumberAttribute, TagAttribute, TextAttribute};
use super::local_time::{LocalMoment, TimeSpan, Weekdays};
use crate::money::Currency;
use crate::payment::Attributes;

/// What a rule asks of a payment. An attribute that the caller did not tell fails every test but its absence.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// A text.
    Text(TextAttribute, TextTest),
    /// A number within a range.
    Number(NumberAttribute, Range),
    /// An amount of this currency within a range of minor units.
    Amount(Currency, Range),
    /// Whether it is the customer's first order.
    NewCustomer(bool),
    /// Tags.
    Tags(TagAttribute, TagTest),
    /// One of the caller's own attributes.
    Metadata(Box<str>, MetadataTest),
    /// Local time of day.
    Time(TimeSpan),
    /// Local weekday.
    Weekday(Weekdays),
    /// The condition does not hold.
    Not(Box<Condition>),
    /// All of them hold; true when there is none.
    All(Box<[Condition]>),
    /// One of them holds.
    Any(Box<[Condition]>),
}

/// What is asked of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    /// It is one of these.
    In(Box<[Box<str>]>),
    /// It begins with one of these.
    Prefix(Box<[Box<str>]>),
    /// It is given, or not.
    Present(bool),
}

/// What is asked of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagTest {
    /// One of these is there.
    Any(Box<[Box<str>]>),
    /// All of these are there.
    All(Box<[Box<str>]>),
    /// None of these is there.
    None(Box<[Box<str>]>),
}

/// What is asked of one of the caller's own attributes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum MetadataTest {
    /// As of any text.
    Text(TextTest),
    /// It is a number between these, both included.
    Between(f64, f64),
}

/// Whole numbers between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min: i64,
    pub(super) max: i64,
}

/// A payment at a moment; the local time is worked out when the first condition asks for it.
pub(super) struct Subject<'a> {
    payment: &'a Attributes,
    now: Timestamp,
    timezone: &'a TimeZone,
    moment: Cell<Option<LocalMoment>>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(payment: &'a Attributes, now: Timestamp, timezone: &'a TimeZone) -> Self {
        Self {
            payment,
            now,
            timezone,
            moment: Cell::new(None),
        }
    }

    fn moment(&self) -> LocalMoment {
        self.moment.get().unwrap_or_else(|| {
            let moment = LocalMoment::of(self.now, self.timezone);
            self.moment.set(Some(moment));
            moment
        })
    }
}

impl Condition {
    /// Whether it holds. Allocates nothing.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let payment = subject.payment;
        match self {
            Self::Text(attribute, test) => test.holds(attribute.of(payment)),
            Self::Number(attribute, range) => attribute.of(payment).is_some_and(|n| range.contains(n)),
            Self::Amount(currency, range) => {
                payment.amount.currency() == *currency && range.contains(payment.amount.minor())
            }
            Self::NewCustomer(wanted) => payment.customer.is_new == *wanted,
            Self::Tags(attribute, test) => test.holds(attribute.of(payment)),
            Self::Metadata(key, test) => test.holds(payment.metadata.get(&**key).map(String::as_str)),
            Self::Time(span) => span.contains(subject.moment()),
            Self::Weekday(days) => days.contains(subject.moment()),
            Self::Not(condition) => !condition.holds(subject),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(subject)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(subject)),
        }
    }

    /// How many tests and values it holds: what evaluating and comparing it costs at most.
    pub(super) fn weight(&self) -> usize {
        let values = |test: &TextTest| match test {
            TextTest::In(values) | TextTest::Prefix(values) => values.len(),
            TextTest::Present(_) => 1,
        };
        match self {
            Self::Text(_, test) | Self::Metadata(_, MetadataTest::Text(test)) => values(test),
            Self::Tags(_, TagTest::Any(tags) | TagTest::All(tags) | TagTest::None(tags)) => tags.len(),
            Self::Not(condition) => condition.weight() + 1,
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().map(Self::weight).sum::<usize>() + 1
            }
            Self::Number(..)
            | Self::Amount(..)
            | Self::NewCustomer(_)
            | Self::Metadata(_, MetadataTest::Between(..))
            | Self::Time(_)
            | Self::Weekday(_) => 1,
        }
    }

    /// The first condition that does not hold, as deep as one can be named; `None` when all hold.
    pub(super) fn first_unmet(&self, subject: &Subject<'_>) -> Option<&Self> {
        match self {
            Self::All(conditions) => conditions
                .iter()
                .find_map(|condition| condition.first_unmet(subject)),
            _ => (!self.holds(subject)).then_some(self),
        }
    }

    /// What the payment says where the condition looks, in words.
    pub(super) fn found(&self, subject: &Subject<'_>) -> String {
        let payment = subject.payment;
        let text = |text: Option<&str>| text.map_or_else(|| "not given".to_owned(), str::to_owned);
        match self {
            Self::Text(attribute, _) => text(attribute.of(payment)),
            Self::Number(attribute, _) => attribute
                .of(payment)
                .map_or_else(|| "not given".to_owned(), |number| number.to_string()),
            Self::Amount(..) => format!("{} {}", payment.amount.minor(), payment.amount.currency()),
            Self::NewCustomer(_) => payment.customer.is_new.to_string(),
            Self::Tags(attribute, _) => match attribute.of(payment) {
                [] => "none".to_owned(),
                tags => tags.join(", "),
            },
            Self::Metadata(key, _) => text(payment.metadata.get(&**key).map(String::as_str)),
            Self::Time(_) | Self::Weekday(_) => subject.moment().to_string(),
            Self::Not(_) => "it does".to_owned(),
            Self::All(_) => "not all hold".to_owned(),
            Self::Any(_) => "none holds".to_owned(),
        }
    }
}

impl TextTest {
    fn holds(&self, text: Option<&str>) -> bool {
        match self {
            Self::In(list) => text.is_some_and(|text| list.iter().any(|item| **item == *text)),
            Self::Prefix(list) => text.is_some_and(|text| list.iter().any(|item| text.starts_with(&**item))),
            Self::Present(wanted) => text.is_some() == *wanted,
        }
    }
}

impl TagTest {
    fn holds(&self, tags: &[String]) -> bool {
        let has = |tag: &str| tags.iter().any(|given| given == tag);
        match self {
            Self::Any(wanted) => wanted.iter().any(|tag| has(tag)),
            Self::All(wanted) => wanted.iter().all(|tag| has(tag)),
            Self::None(unwanted) => !unwanted.iter().any(|tag| has(tag)),
        }
    }
}

impl MetadataTest {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Text(test) => test.holds(value),
            Self::Between(min, max) => value
                .and_then(|value| value.parse().ok())
                .is_some_and(|number: f64| *min <= number && number <= *max),
        }
    }
}

impl Range {
    pub(super) fn contains(self, number: i64) -> bool {
        self.min <= number && number <= self.max
    }

    pub(super) fn is_within(self, other: Self) -> bool {
        other.min <= self.min && self.max <= other.max
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(attribute, test) => write!(f, "{} {test}", attribute.name()),
            Self::Number(attribute, range) => write!(f, "{} {range}", attribute.name()),
            Self::Amount(currency, range) => write!(f, "amount_minor in {currency} {range}"),
            Self::NewCustomer(wanted) => write!(f, "new_customer is {wanted}"),
            Self::Tags(attribute, test) => write!(f, "{} {test}", attribute.name()),
            Self::Metadata(key, MetadataTest::Text(test)) => write!(f, "metadata.{key} {test}"),
            Self::Metadata(key, MetadataTest::Between(min, max)) => {
                write!(f, "metadata.{key} is a number from {min} to {max}")
            }
            Self::Time(span) => write!(f, "time is {span}"),
            Self::Weekday(days) => write!(f, "weekday is one of {days}"),
            Self::Not(condition) => write!(f, "not ({condition})"),
            Self::All(conditions) => joined(f, conditions, " and "),
            Self::Any(conditions) => joined(f, conditions, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, conditions: &[Condition], word: &str) -> fmt::Result {
    for (place, condition) in conditions.iter().enumerate() {
        if place > 0 {
            f.write_str(word)?;
        }
        write!(f, "({condition})")?;
    }
    Ok(())
}

impl fmt::Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(list) => write!(f, "is {}", list.join(" or ")),
            Self::Prefix(list) => write!(f, "begins with {}", list.join(" or ")),
            Self::Present(true) => f.write_str("is given"),
            Self::Present(false) => f.write_str("is not given"),
        }
    }
}

impl fmt::Display for TagTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(tags) => write!(f, "hold {}", tags.join(" or ")),
            Self::All(tags) => write!(f, "hold {}", tags.join(" and ")),
            Self::None(tags) => write!(f, "hold none of {}", tags.join(", ")),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "is {min}"),
            (min, i64::MAX) => write!(f, "is {min} or more"),
            (i64::MIN, max) => write!(f, "is {max} or less"),
            (min, max) => write!(f, "is from {min} to {max}"),
        }
    }
}
