//! How much a receiver takes, and when to say several things in one message.
//!
//! Robots count: `DingTalk` answers the 21st message of a minute with ten minutes of silence. So what is waiting is
//! joined rather than queued, and the count is exact (the times of the last messages), not a bucket that would let
//! twice as many through around a full minute.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Messages in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    messages: u32,
    per_secs: u64,
}

impl Rate {
    /// At most `messages` in any `per`, which counts in whole seconds.
    #[must_use]
    pub const fn new(messages: u32, per: Duration) -> Self {
        Self {
            messages,
            per_secs: per.as_secs(),
        }
    }

    /// Whether anything passes at all, and counting it stays cheap.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        self.messages >= 1 && self.messages <= 1000 && self.per_secs >= 1 && self.per_secs <= 86_400
    }

    fn per(self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.per_secs).unwrap_or(i64::MAX))
    }
}

/// What to do with the messages that wait for one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing waits.
    Idle,
    /// Send the first so many, each for itself.
    Each(usize),
    /// Join all that wait into one message ([`digest`](crate::digest)).
    Join,
    /// Send nothing before this time; look again then, or when more has come.
    WaitUntil(Timestamp),
}

/// What is remembered of one receiver, for those who share it: several workers, or the next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// When the last messages were sent, at most as many as the rate allows.
    pub at: VecDeque<Timestamp>,
    /// Until when it wants silence.
    pub muted_until: Option<Timestamp>,
}

/// What was sent to one receiver lately.
#[derive(Clone, Debug)]
pub struct Throttle {
    rate: Rate,
    sent_at: VecDeque<Timestamp>,
    muted_until: Option<Timestamp>,
}

impl Throttle {
    /// Nothing sent yet.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self {
            rate,
            sent_at: VecDeque::new(),
            muted_until: None,
        }
    }

    /// Goes on from what was remembered.
    #[must_use]
    pub fn resume(rate: Rate, sent: Sent) -> Self {
        Self {
            rate,
            sent_at: sent.at,
            muted_until: sent.muted_until,
        }
    }

    /// What is to be remembered at `now`: no more than what still counts.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> Sent {
        let since = now.saturating_sub(self.rate.per()).unwrap_or(now);
        Sent {
            at: self.sent_at.iter().filter(|at| **at > since).copied().collect(),
            muted_until: self.muted_until.filter(|until| *until > now),
        }
    }

    /// Counts a message that is being sent. Also one that fails: the receiver has seen it.
    pub fn sent(&mut self, now: Timestamp) {
        self.sent_at.push_back(now);
        let most = usize::try_from(self.rate.messages).unwrap_or(usize::MAX);
        while self.sent_at.len() > most {
            self.sent_at.pop_front();
        }
    }

    /// Keeps silent for `wait`, as the receiver asked, or as its vendor is known to need.
    pub fn mute(&mut self, now: Timestamp, wait: Duration) {
        let until = SignedDuration::try_from(wait)
            .map_or(Timestamp::MAX, |wait| now.saturating_add(wait).unwrap_or(now));
        self.muted_until = self.muted_until.max(Some(until));
    }

    /// What to do with `waiting` messages; `joins` tells whether they may become one
    /// ([`Vendor::joins_pages`](crate::receiver::Vendor::joins_pages)).
    #[must_use]
    pub fn decide(&self, waiting: usize, joins: bool, now: Timestamp) -> Decision {
        if waiting == 0 {
            return Decision::Idle;
        }
        if let Some(until) = self.muted_until.filter(|until| *until > now) {
            return Decision::WaitUntil(until);
        }
        let most = usize::try_from(self.rate.messages).unwrap_or(usize::MAX);
        let since = now.saturating_sub(self.rate.per()).unwrap_or(now);
        let recent = self.sent_at.iter().filter(|at| **at > since).count();
        let free = most.saturating_sub(recent);
        if free == 0 {
            let oldest = self
                .sent_at
                .iter()
                .find(|at| **at > since)
                .copied()
                .unwrap_or(now);
            let until = oldest.saturating_add(self.rate.per()).unwrap_or(now);
            return Decision::WaitUntil(until);
        }
        if waiting <= free {
            Decision::Each(waiting)
        } else if joins {
            Decision::Join
        } else {
            Decision::Each(free)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(secs: i64) -> Timestamp {
        START + SignedDuration::from_secs(secs)
    }

    fn dingtalk() -> Throttle {
        Throttle::new(Rate::new(20, Duration::from_mins(1)))
    }

    #[test]
    fn f37_what_is_more_than_the_receiver_takes_is_joined() {
        let throttle = dingtalk();
        assert_eq!(throttle.decide(0, true, START), Decision::Idle);
        assert_eq!(throttle.decide(20, true, START), Decision::Each(20));
        assert_eq!(throttle.decide(500, true, START), Decision::Join);
        assert_eq!(throttle.decide(500, false, START), Decision::Each(20));
    }

    #[test]
    fn a_full_minute_waits_for_its_first_message_to_be_a_minute_old() {
        let mut throttle = dingtalk();
        for second in 0..20 {
            throttle.sent(after(second));
        }
        assert_eq!(
            throttle.decide(1, true, after(30)),
            Decision::WaitUntil(after(60))
        );
        assert_eq!(throttle.decide(1, true, after(60)), Decision::Each(1));
        assert_eq!(throttle.decide(3, true, after(61)), Decision::Join);
    }

    #[test]
    fn a_muted_robot_is_left_alone() {
        let mut throttle = dingtalk();
        throttle.mute(START, Duration::from_mins(10));
        throttle.mute(START, Duration::from_mins(1));
        assert_eq!(
            throttle.decide(1, true, after(599)),
            Decision::WaitUntil(after(600))
        );
        assert_eq!(throttle.decide(1, true, after(600)), Decision::Each(1));
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_ever_sees_more_than_the_rate(
            messages in 1_u32..8, per in 1_u64..20, steps in proptest::collection::vec((0_i64..6, 0_usize..10, any::<bool>()), 1..80),
        ) {
            let mut throttle = Throttle::new(Rate::new(messages, Duration::from_secs(per)));
            let mut now = START;
            let mut log: Vec<Timestamp> = Vec::new();
            for (secs, waiting, joins) in steps {
                now += SignedDuration::from_secs(secs);
                // As another worker would find it.
                throttle = Throttle::resume(throttle.rate, throttle.state(now));
                let count = match throttle.decide(waiting, joins, now) {
                    Decision::Idle => 0,
                    Decision::Each(count) => count,
                    Decision::Join => 1,
                    Decision::WaitUntil(until) => { prop_assert!(until > now); 0 }
                };
                for _ in 0..count {
                    throttle.sent(now);
                    log.push(now);
                }
                let since = now - SignedDuration::from_secs(i64::try_from(per).unwrap());
                let recent = log.iter().filter(|at| **at > since).count();
                prop_assert!(recent <= usize::try_from(messages).unwrap());
            }
        }
    }
}
