//! Which deliveries of one order key to one receiver became pointless.

use super::State;

/// One delivery of a thread: of those with the same order key and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place.
    pub(crate) seq: i64,
    /// Where it is.
    pub(crate) state: State,
    /// Whether the receiver may have it, although no answer said so.
    pub(crate) uncertain: bool,
    /// Whether it ends what those before it began.
    pub(crate) ends: bool,
}

impl Member {
    /// Whether the receiver has it, or may have it or get it any moment.
    fn may_be_heard(&self) -> bool {
        match self.state {
            State::Done | State::Leased => true,
            State::Ready | State::Dead | State::Superseded => self.uncertain,
        }
    }
}

/// The places of those that are not to be sent any more: where an end waits, and the receiver heard of nothing that it
/// ends, it and all that wait before it. `thread` is in the order of its places.
///
/// An end that is sent although nobody heard of the beginning does harm: `PagerDuty` drops it, and a beginning that
/// is sent after it opens an incident that nobody closes.
pub(crate) fn superseded(thread: &[Member]) -> Vec<i64> {
    thread
        .split_inclusive(|member| member.ends)
        .filter(|episode| {
            let ends = episode
                .last()
                .is_some_and(|last| last.ends && last.state == State::Ready);
            ends && !episode.iter().any(Member::may_be_heard)
        })
        .flatten()
        .filter(|member| member.state == State::Ready)
        .map(|member| member.seq)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(seq: i64, state: State, ends: bool) -> Member {
        Member {
            seq,
            state,
            uncertain: false,
            ends,
        }
    }

    #[test]
    fn f32_a_trigger_that_nobody_heard_goes_with_its_resolve() {
        let thread = [member(1, State::Ready, false), member(2, State::Ready, true)];
        assert_eq!(superseded(&thread), [1, 2]);
    }

    #[test]
    fn f32_a_trigger_that_may_have_been_heard_is_resolved() {
        for state in [State::Done, State::Leased] {
            let thread = [
                member(1, state, false),
                member(2, State::Ready, false),
                member(3, State::Ready, true),
            ];
            assert_eq!(superseded(&thread), [0_i64; 0], "{state}");
        }
        let lost = Member {
            uncertain: true,
            ..member(1, State::Ready, false)
        };
        assert_eq!(superseded(&[lost, member(2, State::Ready, true)]), [0_i64; 0]);
    }

    #[test]
    fn an_earlier_incident_that_was_heard_does_not_make_a_later_one_heard() {
        let thread = [
            member(1, State::Done, false),
            member(2, State::Done, true),
            member(3, State::Dead, false),
            member(4, State::Ready, true),
        ];
        assert_eq!(superseded(&thread), [4]);
    }

    fn any_member() -> impl Strategy<Value = (State, bool, bool)> {
        (
            proptest::sample::select(State::ALL.to_vec()),
            any::<bool>(),
            any::<bool>(),
        )
    }

    proptest! {
        #[test]
        fn what_was_heard_is_never_left_without_the_end_that_waits(members in proptest::collection::vec(any_member(), 0..12)) {
            let thread: Vec<Member> = members
                .iter()
                .zip(1..)
                .map(|((state, uncertain, ends), seq)| Member { seq, state: *state, uncertain: *uncertain, ends: *ends })
                .collect();
            let gone = superseded(&thread);
            for episode in thread.split_inclusive(|member| member.ends) {
                let heard = episode.iter().any(Member::may_be_heard);
                let touched = episode.iter().any(|member| gone.contains(&member.seq));
                prop_assert!(!(heard && touched));
                // All or nothing: no beginning is left to be sent without its end, or the other way round.
                let waiting = episode.iter().filter(|member| member.state == State::Ready);
                let left = waiting.filter(|member| !gone.contains(&member.seq)).count();
                prop_assert!(!touched || left == 0);
            }
        }
    }
}
