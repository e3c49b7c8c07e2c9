//! What keeps quiet while something worse is said.

use super::dimension::Dimension;
use super::instance::Instance;

/// While an alert of one rule is going on, those of others about the same are not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhibition {
    /// The rule that speaks.
    pub while_firing: Box<str>,
    /// The rules that keep quiet.
    pub mute: Vec<Box<str>>,
    /// Both alerts must have the same value in each of these; what one of them does not tell apart is not the same.
    pub same: Vec<Dimension>,
}

impl Inhibition {
    /// Whether `speaker` keeps `other` quiet.
    #[must_use]
    pub fn holds(&self, speaker: &Instance, other: &Instance) -> bool {
        let is_meant = |(rule, named): (&Instance, &str)| &*rule.rule == named;
        let is_same = |dimension: &Dimension| {
            let value = speaker.scope.get(*dimension);
            value.is_some() && value == other.scope.get(*dimension)
        };
        speaker.state.is_active()
            && is_meant((speaker, &self.while_firing))
            && self.mute.iter().any(|muted| is_meant((other, muted)))
            && self.same.iter().all(is_same)
    }
}
