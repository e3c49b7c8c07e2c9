//! How that stands which the store keeps beside outcomes: cases that are not settled, and messages that were given up.

use std::time::Duration;

use domain::alert::{Metric, Scope};
use domain::attempt::State;
use domain::compensation::Cause;
use jiff::{SignedDuration, Timestamp};
use ledger::compensation::{Cases, Standing};
use ledger::{Deliveries, LedgerError};
use tokio::time::timeout;

/// How often it is looked up.
pub(super) const EVERY: SignedDuration = SignedDuration::from_secs(10);

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(3);

/// A metric of the moment with its value.
pub(super) type Gauge = ((Metric, Scope), u64);

/// The age of the oldest case that somebody has to settle, and how many messages were given up.
pub(super) async fn look(
    cases: &dyn Cases,
    deliveries: &dyn Deliveries,
    now: Timestamp,
) -> Result<Vec<Gauge>, LedgerError> {
    let asked = async { Ok((cases.standing().await?, deliveries.backlogs().await?)) };
    let answer = timeout(LIMIT, asked).await;
    let (standing, backlogs) = answer.unwrap_or_else(|_| Err(LedgerError::silent("count cases")))?;
    let dead = backlogs.iter().map(|backlog| backlog.dead).sum();
    Ok(vec![
        (
            (Metric::CompensationAge, Scope::overall()),
            oldest_secs(&standing, now),
        ),
        ((Metric::DeadLetters, Scope::overall()), dead),
    ])
}

/// How long the oldest of them is open, in seconds; 0 without any. A customer who takes time to pay, and an order that
/// nobody can pay, keep nobody in doubt.
fn oldest_secs(standing: &[Standing], now: Timestamp) -> u64 {
    let in_doubt = |it: &&Standing| it.cause == Cause::Unsettled && it.state != State::AwaitingCustomer;
    let oldest = standing.iter().filter(in_doubt).map(|it| it.oldest).min();
    let age = oldest.map_or(SignedDuration::ZERO, |oldest| now.duration_since(oldest));
    u64::try_from(age.as_secs()).unwrap_or(0)
}
