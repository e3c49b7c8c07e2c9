//! Which attempts of a batch are new, which repeated, which contradict.

use std::collections::HashMap;

use domain::id::{AttemptId, MerchantId};

use crate::attempt::{AttemptRecord, Recorded};

/// What an attempt is told by.
pub(crate) type Name = (MerchantId, AttemptId);

/// Tells new attempts from repeated and contradicting ones, where an earlier one of the batch counts as stored.
pub(crate) fn judge<'a>(
    attempts: &'a [AttemptRecord],
    stored: &'a HashMap<Name, AttemptRecord>,
) -> (Vec<&'a AttemptRecord>, Vec<Recorded>) {
    let mut first: HashMap<(&str, &str), &AttemptRecord> = stored
        .values()
        .map(|attempt| ((attempt.merchant.as_str(), attempt.attempt.as_str()), attempt))
        .collect();
    let mut fresh = Vec::with_capacity(attempts.len());
    let mut answers = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let name = (attempt.merchant.as_str(), attempt.attempt.as_str());
        answers.push(match first.get(&name) {
            None => {
                first.insert(name, attempt);
                fresh.push(attempt);
                Recorded::New
            }
            Some(earlier) if earlier.digest == attempt.digest => {
                Recorded::Duplicate(Box::new((*earlier).clone()))
            }
            Some(_) => Recorded::Conflict,
        });
    }
    (fresh, answers)
}
