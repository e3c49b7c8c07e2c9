//! Re-basing: a brain takes over what another one has learnt, and keeps what is its own.

use super::member::Member;
use super::{Brain, ChannelIx};

impl Brain {
    /// Takes over what `learnt` knows. Kept are the numbers of channels, which of them are configured, what was decided
    /// by hand, the rules, the log and the journal; and of this brain's own attempts those are out that are out here.
    ///
    /// Segments given out before are void, so that nothing may be left in the journal: see [`Brain::take_deeds`].
    /// Returns what is no longer needed, to be dropped where nobody waits.
    #[must_use = "dropping a large brain takes time"]
    pub fn rebase_on(&mut self, mut learnt: Self) -> Self {
        let renumbered = self.take_members(&mut learnt);
        let new_number = |old: ChannelIx| renumbered.get(old.index()).copied().flatten();
        learnt.flights.renumber(new_number);
        for (_, suspicion) in learnt.methods.iter_mut().chain(learnt.issuers.iter_mut()) {
            suspicion.renumber(new_number);
        }
        learnt.params = self.params();
        learnt.log = std::mem::take(&mut self.log);
        learnt.journal = self.journal.take();
        learnt.heartbeat = self.heartbeat;
        learnt.fleet = self.fleet;
        learnt.keep_own_attempts(self);
        std::mem::replace(self, learnt)
    }

    /// Puts the channels of `learnt` in the order of this brain's own. Returns the new number of each old one.
    fn take_members(&self, learnt: &mut Self) -> Vec<Option<ChannelIx>> {
        let mut theirs: Vec<Option<Member>> = std::mem::take(&mut learnt.members)
            .into_iter()
            .map(Some)
            .collect();
        let mut renumbered = vec![None; theirs.len()];
        for (number, own) in self.members.iter().enumerate() {
            let place = theirs
                .iter()
                .position(|member| member.as_ref().is_some_and(|member| member.id == own.id));
            let known = place.and_then(|place| {
                *renumbered.get_mut(place)? = u16::try_from(number).ok().map(ChannelIx);
                theirs.get_mut(place)?.take()
            });
            let member = known.unwrap_or_else(|| Member::new(own.id.clone(), &self.params));
            learnt.members.push(Member {
                configured: own.configured,
                forced: own.forced,
                ..member
            });
        }
        for (member, renumbered) in theirs.into_iter().zip(&mut renumbered) {
            let Some(member) = member else {
                continue;
            };
            *renumbered = u16::try_from(learnt.members.len()).ok().map(ChannelIx);
            learnt.members.push(Member {
                configured: false,
                forced: None,
                ..member
            });
        }
        renumbered
    }

    /// Watches exactly those of its own attempts that `live` watches.
    fn keep_own_attempts(&mut self, live: &Self) {
        let own = self.fleet.own();
        for (key, _) in self.flights.of(own) {
            if live.flights.get(key).is_none() {
                self.forget(key);
            }
        }
        let shift = self.shift_of(live);
        for (key, flight) in live.flights.of(own) {
            if self.flights.get(key).is_some() {
                continue;
            }
            let Some((channel, segment)) = live
                .lane(flight.channel, flight.segment)
                .and_then(|lane| self.find(&lane))
            else {
                continue;
            };
            let unknown = flight.anew(channel, segment, shift);
            let due = unknown.sent + unknown.excused;
            self.flights.begin(key, unknown, due);
        }
    }

    /// How many seconds later a moment is by this brain's count than by that of `other`.
    fn shift_of(&self, other: &Self) -> f64 {
        match (self.beginning, other.beginning) {
            (Some(own), Some(others)) => others.duration_since(own).as_secs_f64(),
            _ => 0.0,
        }
    }
}
