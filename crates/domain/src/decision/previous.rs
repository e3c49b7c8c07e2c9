//! Whether another attempt may be made at all, by what is known of the earlier ones.

use super::answer::Halt;
use crate::attempt::{Limits, Standing, State};
use crate::catalogue::Side;
use crate::payment::Attributes;

/// What a receipt proves of an earlier attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// What is known of its money.
    pub state: State,
    /// The method it was made by.
    pub method: String,
    /// Whose doing its failure was; `None` after a success.
    pub side: Option<Side>,
    /// Whether the same credential must never be tried again.
    pub never_same_credential: bool,
}

/// Why no other attempt may be made beside `previous`; `None` when one may.
///
/// A paid attempt goes before an unsettled one: nothing more is wanted then, whatever becomes of the other. An
/// unsettled one goes before the end of the order: it has to be found out all the same.
pub(super) fn halt(
    previous: &[Previous],
    payment: &Attributes,
    order_over: bool,
    limits: &Limits,
) -> Option<Halt> {
    if previous.iter().any(|attempt| attempt.state.was_charged()) {
        return Some(Halt::Paid);
    }
    if previous
        .iter()
        .any(|attempt| attempt.state.standing() == Standing::Blocking)
    {
        return Some(Halt::Unsettled);
    }
    if order_over {
        return Some(Halt::OrderOver);
    }
    let last = previous.last()?;
    let same_method = |attempt: &&Previous| attempt.method == payment.method;
    let forbidden = last.side == Some(Side::Risk)
        || previous
            .iter()
            .filter(same_method)
            .any(|attempt| attempt.never_same_credential);
    if forbidden {
        return Some(Halt::Forbidden);
    }
    let made = previous.iter().filter(same_method).count();
    let most = usize::try_from(limits.max_attempts).unwrap_or(usize::MAX);
    (made >= most).then_some(Halt::TooMany)
}
