//! How an attempt's state follows from what happens to it.
//!
//! A success beats anything; nothing else moves a state backwards; hearing a thing twice changes nothing.

use super::event::{Claim, Event, Source};
use super::state::{Standing, State};

/// The event does not fit the state. The state stays; who sent the event should be asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attempt that is {state} cannot take {event:?}")]
pub struct Refused {
    /// The state, which stays.
    pub state: State,
    /// The event that was refused.
    pub event: Event,
}

/// The state after `event`; the same one when the event says nothing new.
///
/// # Errors
/// When the event contradicts what is known already, or does not belong there. Then the state stays.
pub const fn next(state: State, event: Event) -> Result<State, Refused> {
    let next = match event {
        Event::Submitted => after_submit(state),
        Event::Said(claim, source) => after_claim(state, claim, source),
        Event::Restarted => Some(after_restart(state)),
        Event::QueriesSpent => match state {
            State::Unknown | State::ReversalPending => Some(State::ReversalPending),
            _ => None,
        },
        Event::ReversalAccepted => after_reversal(state),
        Event::ReversalRefused => Some(paid(state)),
        Event::ReversalsSpent => match state {
            State::ReversalPending | State::NeedsReview => Some(State::NeedsReview),
            _ => None,
        },
        Event::Adopted => match state {
            State::LateSuccess => Some(State::Succeeded),
            State::Succeeded | State::ConfirmedSucceeded => Some(state),
            _ => None,
        },
        Event::RefundOrdered | Event::RefundDone | Event::RefundsSpent => after_refund(state, event),
    };
    match next {
        Some(next) => Ok(next),
        None => Err(Refused { state, event }),
    }
}

const fn after_submit(state: State) -> Option<State> {
    match state {
        State::Created | State::Submitted => Some(State::Submitted),
        _ => None,
    }
}

const fn after_restart(state: State) -> State {
    match state {
        State::Submitted => State::Unknown,
        other => other,
    }
}

const fn after_claim(state: State, claim: Claim, source: Source) -> Option<State> {
    match claim {
        Claim::Paid => Some(paid(state)),
        Claim::Declined => no_debit(state, State::Declined, source),
        Claim::NotProcessed => no_debit(state, State::FailedNotProcessed, source),
        Claim::Closed => no_debit(state, State::Closed, source),
        Claim::AwaitingCustomer => match state {
            State::Created | State::Submitted | State::AwaitingCustomer => Some(State::AwaitingCustomer),
            // Still waiting is no answer to whether it charged: the queries go on.
            State::Unknown | State::ReversalPending | State::NeedsReview => Some(state),
            _ => None,
        },
        Claim::Unclear => Some(match state {
            State::Created | State::Submitted | State::AwaitingCustomer => State::Unknown,
            other => other,
        }),
    }
}

/// The state after a success, whatever was thought before.
const fn paid(state: State) -> State {
    match state {
        State::Created | State::Submitted | State::AwaitingCustomer | State::Unknown => State::Succeeded,
        State::ReversalPending | State::NeedsReview => State::ConfirmedSucceeded,
        State::Declined | State::FailedNotProcessed | State::Closed | State::Reversed => State::LateSuccess,
        State::LateSuccess
        | State::Succeeded
        | State::ConfirmedSucceeded
        | State::RefundPending
        | State::RefundNeedsReview
        | State::Refunded => state,
    }
}

/// The state after a definite "no money moved"; `None` against a success.
const fn no_debit(state: State, settled: State, source: Source) -> Option<State> {
    match state {
        State::Created | State::Submitted | State::AwaitingCustomer | State::Unknown => Some(settled),
        // Once it is being taken back, a provider's "no" may be an intermediate one, or the reversal's own effect.
        State::ReversalPending | State::NeedsReview => Some(if source.is_final() { settled } else { state }),
        // One "no" is as good as another: the first stays.
        _ if matches!(state.standing(), Standing::NoDebit) => Some(state),
        _ => None,
    }
}

const fn after_reversal(state: State) -> Option<State> {
    match state {
        State::AwaitingCustomer | State::Unknown | State::ReversalPending | State::NeedsReview => {
            Some(State::Reversed)
        }
        // Some providers want a refused payment reversed as well: that moves no money.
        _ if matches!(state.standing(), Standing::NoDebit) => Some(state),
        _ => None,
    }
}

const fn after_refund(state: State, event: Event) -> Option<State> {
    match (event, state) {
        (Event::RefundOrdered, State::LateSuccess | State::Succeeded | State::ConfirmedSucceeded) => {
            Some(State::RefundPending)
        }
        (Event::RefundOrdered, State::RefundPending | State::RefundNeedsReview | State::Refunded)
        | (_, State::Refunded) => Some(state),
        (Event::RefundDone, State::RefundPending | State::RefundNeedsReview) => Some(State::Refunded),
        (Event::RefundsSpent, State::RefundPending | State::RefundNeedsReview) => {
            Some(State::RefundNeedsReview)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state with every event, and the state after it.
    fn transitions() -> impl Iterator<Item = (State, Event, Result<State, Refused>)> {
        State::ALL.into_iter().flat_map(|state| {
            Event::all()
                .into_iter()
                .map(move |event| (state, event, next(state, event)))
        })
    }

    /// How far an attempt is: no event may lead to a lower number.
    fn progress(state: State) -> u8 {
        match state {
            State::Created => 0,
            State::Submitted => 1,
            State::AwaitingCustomer => 2,
            State::Unknown => 3,
            State::ReversalPending => 4,
            State::NeedsReview => 5,
            State::Declined | State::FailedNotProcessed | State::Closed | State::Reversed => 6,
            State::LateSuccess => 7,
            State::Succeeded | State::ConfirmedSucceeded => 8,
            State::RefundPending => 9,
            State::RefundNeedsReview => 10,
            State::Refunded => 11,
        }
    }

    #[test]
    fn no_event_moves_a_state_backwards() {
        for (state, event, next) in transitions() {
            if let Ok(next) = next {
                assert!(progress(next) >= progress(state), "{state} + {event:?} = {next}");
                assert!(
                    progress(next) > progress(state) || next == state,
                    "{state} + {event:?} = {next}"
                );
            }
        }
    }

    #[test]
    fn an_event_heard_twice_changes_nothing_the_second_time() {
        for (_, event, after) in transitions() {
            if let Ok(after) = after {
                assert_eq!(next(after, event), Ok(after), "{event:?}");
            }
        }
    }

    #[test]
    fn a_success_beats_anything_from_any_source() {
        for state in State::ALL {
            for source in Source::ALL {
                let after = next(state, Event::Said(Claim::Paid, source)).unwrap();
                assert!(after.was_charged(), "{state} became {after}");
            }
        }
    }

    #[test]
    fn a_charge_is_never_forgotten() {
        for (state, event, next) in transitions() {
            if state.was_charged()
                && let Ok(next) = next
            {
                assert!(next.was_charged(), "{state} + {event:?} = {next}");
            }
        }
    }

    #[test]
    fn only_a_definite_no_or_a_reversal_ends_the_blocking() {
        for (state, event, next) in transitions() {
            if let Ok(next) = next
                && state.standing() == Standing::Blocking
                && next.standing() == Standing::NoDebit
            {
                assert!(
                    matches!(
                        event,
                        Event::ReversalAccepted
                            | Event::Said(Claim::Declined | Claim::NotProcessed | Claim::Closed, _)
                    ),
                    "{state} + {event:?} = {next}"
                );
            }
        }
    }

    #[test]
    fn the_states_without_a_debit_are_these_four() {
        let free: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| state.standing() == Standing::NoDebit)
            .collect();
        assert_eq!(
            free,
            [
                State::Declined,
                State::FailedNotProcessed,
                State::Closed,
                State::Reversed
            ]
        );
    }

    #[test]
    fn a_state_without_a_debit_is_left_by_a_success_only() {
        for (state, event, next) in transitions() {
            if let Ok(next) = next
                && state.standing() == Standing::NoDebit
                && next != state
            {
                let success = matches!(event, Event::ReversalRefused | Event::Said(Claim::Paid, _));
                assert!(
                    success && next == State::LateSuccess,
                    "{state} + {event:?} = {next}"
                );
            }
        }
    }

    #[test]
    fn every_state_is_reached() {
        let mut reached = vec![State::Created];
        let mut at = 0;
        while let Some(&state) = reached.get(at) {
            for event in Event::all() {
                if let Ok(next) = next(state, event)
                    && !reached.contains(&next)
                {
                    reached.push(next);
                }
            }
            at += 1;
        }
        assert_eq!(reached.len(), State::ALL.len());
    }

    #[test]
    fn an_attempt_that_was_sent_before_a_restart_is_unknown_after_it() {
        assert_eq!(next(State::Submitted, Event::Restarted), Ok(State::Unknown));
        assert_eq!(next(State::Succeeded, Event::Restarted), Ok(State::Succeeded));
    }

    #[test]
    fn a_late_success_is_adopted_or_paid_back_and_never_dropped() {
        let late = next(State::Closed, Event::Said(Claim::Paid, Source::Notice)).unwrap();
        assert_eq!(late, State::LateSuccess);
        assert_eq!(next(late, Event::Adopted), Ok(State::Succeeded));
        let pending = next(late, Event::RefundOrdered).unwrap();
        assert_eq!(next(pending, Event::RefundDone), Ok(State::Refunded));
        assert_eq!(next(pending, Event::RefundsSpent), Ok(State::RefundNeedsReview));
    }

    #[test]
    fn an_unanswered_reversal_waits_for_a_person_and_goes_on_blocking() {
        let pending = next(State::Unknown, Event::QueriesSpent).unwrap();
        let review = next(pending, Event::ReversalsSpent).unwrap();
        assert_eq!(review, State::NeedsReview);
        let query = Event::Said(Claim::Declined, Source::Query);
        assert_eq!(next(review, query), Ok(State::NeedsReview));
        let operator = Event::Said(Claim::Declined, Source::Operator);
        assert_eq!(next(review, operator), Ok(State::Declined));
    }

    #[test]
    fn an_older_notice_does_not_undo_a_success() {
        let refused = next(State::Succeeded, Event::Said(Claim::Declined, Source::Notice)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "an attempt that is succeeded cannot take Said(Declined, Notice)"
        );
    }
}
