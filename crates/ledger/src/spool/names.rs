//! Which attempts wait in the spool, by 64-bit digests: 48 bytes each at most, however long their names are.

use std::collections::HashMap;

use domain::id::{AttemptId, MerchantId};
use domain::outcome_event::OutcomeId;

use crate::attempt::{AttemptRecord, Recorded};

/// The names that wait, each with the content that waits under it.
#[derive(Debug, Default)]
pub(super) struct Names {
    waiting: HashMap<OutcomeId, u64>,
}

impl Names {
    /// The digest of a name.
    pub(super) fn of(merchant: &MerchantId, attempt: &AttemptId) -> OutcomeId {
        OutcomeId::of(merchant, attempt, None)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Says of each attempt what becomes of it, and gives those that are to be kept, each with its name.
    ///
    /// A repeated report is answered with itself: its content is the one that waits, and its state is still the
    /// reported one, for nothing resolves an attempt that the ledger does not have yet.
    pub(super) fn judge<'a>(
        &self,
        attempts: &'a [AttemptRecord],
    ) -> (Vec<(OutcomeId, &'a AttemptRecord)>, Vec<Recorded>) {
        let mut staged: HashMap<OutcomeId, u64> = HashMap::new();
        let mut fresh = Vec::with_capacity(attempts.len());
        let mut answers = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let name = Self::of(&attempt.merchant, &attempt.attempt);
            let content = content(&attempt.digest);
            answers.push(match self.waiting.get(&name).or_else(|| staged.get(&name)) {
                None => {
                    staged.insert(name, content);
                    fresh.push((name, attempt));
                    Recorded::New
                }
                Some(kept) if *kept == content => Recorded::Duplicate(Box::new(attempt.clone())),
                Some(_) => Recorded::Conflict,
            });
        }
        (fresh, answers)
    }

    /// An attempt waits from now on; one that waits already stays as it is.
    pub(super) fn add(&mut self, name: OutcomeId, digest: &[u8; 32]) {
        self.waiting.entry(name).or_insert_with(|| content(digest));
    }

    /// An attempt waits no longer.
    pub(super) fn remove(&mut self, name: OutcomeId) {
        self.waiting.remove(&name);
    }
}

/// Eight bytes of a SHA-256 are as good as any eight others.
fn content(digest: &[u8; 32]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::sample;

    fn other_content(name: &str) -> AttemptRecord {
        AttemptRecord {
            digest: [9; 32],
            case: None,
            notices: Vec::new(),
            ..sample::attempt(name)
        }
    }

    #[test]
    fn a_name_is_kept_once_and_its_first_content_stands() {
        let mut names = Names::default();
        let attempts = [
            sample::attempt("a"),
            sample::attempt("a"),
            other_content("a"),
            sample::attempt("b"),
        ];
        let (fresh, answers) = names.judge(&attempts);
        assert_eq!(fresh.len(), 2);
        let again = || Recorded::Duplicate(Box::new(sample::attempt("a")));
        assert_eq!(
            answers,
            [Recorded::New, again(), Recorded::Conflict, Recorded::New]
        );
        for (name, attempt) in fresh {
            names.add(name, &attempt.digest);
        }
        let later = [sample::attempt("a"), other_content("b")];
        assert_eq!(names.judge(&later).1, [again(), Recorded::Conflict]);
    }

    #[test]
    fn a_name_that_waits_no_longer_is_new_again() {
        let mut names = Names::default();
        let attempt = sample::attempt("a");
        let name = Names::of(&attempt.merchant, &attempt.attempt);
        names.add(name, &attempt.digest);
        names.remove(name);
        assert_eq!(names.judge(&[attempt]).1, [Recorded::New]);
    }
}
