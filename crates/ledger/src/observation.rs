//! The port for what alert rules are evaluated on: outcomes counted by everything a rule can be scoped to, and what a
//! fault has cost so far.
//!
//! Counted from the attempts themselves and never from a copy, so that an alert says what the ledger says.

use std::fmt;

use domain::id::{ChannelId, MerchantId, PaymentId};
use domain::outcome::OutcomeClass;
use jiff::Timestamp;

use crate::port::Answer;
use crate::statistics::Span;

/// How many outcomes of one kind fell into one bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observed {
    /// The number of the bucket: seconds since the Unix epoch, divided by the length of a bucket and rounded down.
    pub bucket: i64,
    /// The channel.
    pub channel: ChannelId,
    /// The payment method.
    pub method: String,
    /// The customer's bank.
    pub issuer: Option<String>,
    /// The customer's region.
    pub region: Option<String>,
    /// Whose payments they are.
    pub merchant: MerchantId,
    /// What the outcomes count as by now.
    pub class: OutcomeClass,
    /// How many.
    pub count: u32,
    /// How many of them were not the first attempt at their payment: the payment was moved, or tried again.
    pub later: u32,
    /// How many of them may have charged, which nobody knows by now.
    pub unknown: u32,
    /// The bins of their latencies, as `domain::window::Latencies` numbers them, in ascending order, each with how many
    /// are in it. What was reported as a timeout is in none.
    pub bins: Vec<(u8, u32)>,
}

/// Whose outcomes are looked at: those that fit every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// Any of these channels; empty: all.
    pub channels: Vec<ChannelId>,
    /// This method.
    pub method: Option<String>,
    /// This issuer.
    pub issuer: Option<String>,
    /// This region.
    pub region: Option<String>,
    /// This merchant.
    pub merchant: Option<MerchantId>,
}

/// What a fault has cost within a span. Failed is what has an outcome and was not charged by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Attempts with an outcome.
    pub attempts: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that may have charged, which nobody knows by now.
    pub unknown: u64,
    /// Payments with a failed attempt that no attempt has paid by now, by currency: how many, and their amounts in minor
    /// units together.
    pub lost: Vec<Lost>,
    /// The most frequent reasons of the failed ones, as the failure catalogue names them.
    pub reasons: Vec<Part>,
    /// The issuers with most failed attempts.
    pub issuers: Vec<Part>,
    /// The methods with most failed attempts.
    pub methods: Vec<Part>,
    /// The channels with most failed attempts.
    pub channels: Vec<Part>,
    /// Some of the payments with a failed attempt, the latest first.
    pub sampled: Vec<Sampled>,
}

/// Payments that were not paid, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The currency.
    pub currency: String,
    /// How many.
    pub payments: u64,
    /// Their amounts together, in minor units.
    pub amount_minor: i64,
}

/// How many failed attempts there were of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The value.
    pub name: String,
    /// How many.
    pub failed: u64,
}

/// One payment with a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Whose it is.
    pub merchant: MerchantId,
    /// The payment.
    pub payment: PaymentId,
    /// The channel it failed at.
    pub channel: ChannelId,
    /// Why, as the failure catalogue names it.
    pub reason: Option<String>,
}

/// A provider's code for a failure, as callers reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedCode {
    /// Whose code it is.
    pub provider: String,
    /// The code.
    pub code: Option<String>,
    /// The second code.
    pub sub_code: Option<String>,
    /// How often it was reported.
    pub count: u64,
    /// When the first report of it arrived.
    pub first_at: Timestamp,
    /// When the last one did.
    pub last_at: Timestamp,
    /// A reason that the failure catalogue took it for.
    pub reason: Option<String>,
    /// A message of the provider that came with it, for people.
    pub message: Option<String>,
}

/// A ledger that can be observed.
pub trait ObservationSource: Send + Sync + fmt::Debug {
    /// The outcomes that were received within `span`, counted in buckets of `bucket_secs` seconds (1 to 3 600), in no
    /// particular order. Cut `span` where buckets meet, or the outcomes of one bucket come apart.
    ///
    /// # Errors
    /// When the store cannot be read. Nothing counted is an answer, and another one than an error.
    fn observe(&self, span: Span, bucket_secs: u32) -> Answer<'_, Vec<Observed>>;

    /// What failed within `span` for `whom`, with up to `limit` parts of each kind and as many payments.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn impact<'a>(&'a self, span: Span, whom: &'a Whom, limit: u32) -> Answer<'a, Impact>;

    /// Up to `limit` codes of failures that were received within `span`, the most frequent first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn reported_codes(&self, span: Span, limit: u32) -> Answer<'_, Vec<ReportedCode>>;
}
