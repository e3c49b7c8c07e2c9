//! What a runbook would change now.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::open::Open;
use super::{Lower, Runbook, Step, Word};
use crate::alert::Labels;
use crate::brain::Forced;
use crate::channels::Configuration;
use crate::control::{Change, Control, LimitSetting};
use crate::id::ChannelId;
use crate::suspension::{Scope, Suspension};

/// What a plan is made by.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The control state.
    pub control: &'a Control,
    /// What it assembles to.
    pub configuration: &'a Configuration,
    /// The stored policies: the version of each document, and the name that it gives itself.
    pub policies: &'a [(u64, &'a str)],
    /// Channels that take no payments now: their breakers are tripped.
    pub down: &'a [ChannelId],
    /// Changes of runbooks at work that are still to be taken back.
    pub held: &'a [Change],
    /// The alert's labels.
    pub labels: &'a Labels,
    /// When.
    pub now: Timestamp,
}

/// What a runbook would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub runbook: Box<str>,
    /// Its steps, in their order: what each would do, or why it would do nothing.
    pub steps: Vec<Result<Deed, NotDone>>,
}

/// What a step would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A change of the control state.
    Change(Box<Planned>),
    /// A message.
    Notify {
        /// To whom.
        receivers: Vec<Box<str>>,
        /// What it says.
        text: Box<str>,
    },
}

/// A change that a step would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// In plain words, for people.
    pub words: String,
    /// The change.
    pub change: Change,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Whether it ends by itself then; otherwise the reverse must be made.
    pub ends_by_itself: bool,
    /// What takes it back.
    pub reverse: Reverse,
}

/// What takes a change back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reverse {
    /// Lifting the suspension, whose number is the revision that the change led to.
    Lift,
    /// This.
    Change(Box<Change>),
}

impl Planned {
    /// The change that takes it back, where it led to `revision`.
    #[must_use]
    pub fn taken_back(&self, revision: u64) -> Change {
        match &self.reverse {
            Reverse::Lift => Change::LiftSuspension { id: revision },
            Reverse::Change(change) => (**change).clone(),
        }
    }
}

/// Why a step would do nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// A method would be left without a channel.
    #[error("method `{method}` would have no channel left")]
    LastChannel {
        /// The method.
        method: String,
    },
    /// The alert has no such label.
    #[error("the alert has no label `{0}`")]
    NoLabel(Box<str>),
    /// No channel has this name.
    #[error("channel `{0}` is not configured")]
    UnknownChannel(String),
    /// No stored policy gives itself this name.
    #[error("no stored policy is called `{0}`")]
    UnknownPolicy(Box<str>),
    /// No limit has this name.
    #[error("there is no limit `{0}`")]
    UnknownLimit(Box<str>),
    /// The limit allows no more than that already.
    #[error("limit `{limit}` allows {most} already")]
    NotLower {
        /// The limit.
        limit: Box<str>,
        /// What it allows.
        most: i64,
    },
    /// Another runbook at work has changed it, and will set it back: of two that did, neither would find again what
    /// was there before both.
    #[error("a runbook at work has changed {0} already")]
    Held(String),
    /// It is so already.
    #[error("{0} already")]
    Already(String),
    /// Somebody has decided about it: a runbook does not decide over people.
    #[error("{author} has decided about the breaker of `{channel}`")]
    ByHand {
        /// The channel.
        channel: ChannelId,
        /// Who has.
        author: String,
    },
}

/// What `runbook` would do in `situation`. Later steps take earlier ones as done.
#[must_use]
pub fn plan(runbook: &Runbook, situation: &Situation<'_>) -> Plan {
    let mut planner = Planner::new(runbook, situation);
    let steps = runbook.steps.iter().map(|step| planner.step(step)).collect();
    Plan {
        runbook: runbook.name.clone(),
        steps,
    }
}

/// What one step of `runbook` would do, where those before it were done or left.
pub(super) fn plan_step(runbook: &Runbook, step: &Step, situation: &Situation<'_>) -> Result<Deed, NotDone> {
    Planner::new(runbook, situation).step(step)
}

struct Planner<'a> {
    runbook: &'a Runbook,
    situation: &'a Situation<'a>,
    open: Open<'a>,
}

impl<'a> Planner<'a> {
    fn new(runbook: &'a Runbook, situation: &'a Situation<'a>) -> Self {
        let holds = |until: Timestamp| situation.now < until;
        let forced_out = situation
            .control
            .breakers
            .iter()
            .filter(|set| set.forced == Forced::Out && holds(set.until))
            .map(|set| set.channel.clone());
        let out = forced_out.collect();
        Self {
            runbook,
            situation,
            open: Open::new(situation.configuration, (out, situation.down), situation.now),
        }
    }

    fn step(&mut self, step: &Step) -> Result<Deed, NotDone> {
        let planned = match step {
            Step::Suspend {
                channel,
                issuer,
                region,
                method,
                lasts,
            } => {
                let scope = Scope {
                    channel: self.channel(channel.as_ref())?,
                    issuer: self.word(issuer.as_ref())?,
                    region: self.word(region.as_ref())?,
                    method: self.word(method.as_ref())?,
                };
                self.suspend(scope, *lasts)?
            }
            Step::ForceBreaker {
                channel,
                forced,
                lasts,
            } => {
                let Some(channel) = self.channel(Some(channel))? else {
                    return Err(NotDone::NoLabel("channel".into()));
                };
                self.force(channel, *forced, *lasts)?
            }
            Step::ActivatePolicy { name, lasts } => self.activate(name, *lasts)?,
            Step::LowerLimit { id, to, lasts } => self.lower(id, *to, *lasts)?,
            Step::Notify { receivers, text } => {
                return Ok(Deed::Notify {
                    receivers: receivers.clone(),
                    text: text.clone(),
                });
            }
        };
        Ok(Deed::Change(Box::new(planned)))
    }

    fn suspend(&mut self, scope: Scope, lasts: SignedDuration) -> Result<Planned, NotDone> {
        let ends_at = self.end(lasts);
        let words = format!("suspend {}", scope_words(&scope));
        if self.open.has(&scope, ends_at) {
            return Err(NotDone::Already(format!("{} is suspended", scope_words(&scope))));
        }
        let mut after = self.open.clone();
        after.suspend(Suspension {
            scope: scope.clone(),
            reason: self.reason(),
            author: self.runbook.name.to_string(),
            from: self.situation.now,
            until: Some(ends_at),
        });
        // Without a channel it is a bank or a region that is closed, on purpose and by name.
        if scope.channel.is_some() {
            self.refuse_last(&after)?;
        }
        self.open = after;
        Ok(Planned {
            words,
            change: Change::Suspend {
                scope,
                reason: self.reason(),
                from: None,
                until: Some(ends_at),
            },
            ends_at,
            ends_by_itself: true,
            reverse: Reverse::Lift,
        })
    }

    fn force(
        &mut self,
        channel: ChannelId,
        forced: Forced,
        lasts: SignedDuration,
    ) -> Result<Planned, NotDone> {
        let now = self.situation.now;
        let mut present = self.situation.control.breakers.iter();
        let decided = present.find(|set| set.channel == channel && now < set.until);
        if let Some(decided) = decided {
            return Err(NotDone::ByHand {
                author: decided.author.as_str().to_owned(),
                channel,
            });
        }
        if forced == Forced::Out {
            let mut after = self.open.clone();
            after.take_out(channel.clone());
            self.refuse_last(&after)?;
            self.open = after;
        }
        let ends_at = self.end(lasts);
        let state = match forced {
            Forced::Out => "out",
            Forced::In => "in",
            Forced::ObserveOnly => "to observing only",
        };
        Ok(Planned {
            words: format!("force the breaker of {channel} {state}"),
            change: Change::ForceBreaker {
                channel: channel.clone(),
                forced,
                until: ends_at,
                reason: self.reason(),
            },
            ends_at,
            ends_by_itself: true,
            reverse: Reverse::Change(Box::new(Change::ReleaseBreaker { channel })),
        })
    }

    fn activate(&self, name: &str, lasts: SignedDuration) -> Result<Planned, NotDone> {
        let active = self.situation.control.policy.version;
        let stored = self.situation.policies.iter().filter(|(_, known)| *known == name);
        let version = stored.map(|(version, _)| *version).max();
        let version = version.ok_or_else(|| NotDone::UnknownPolicy(name.into()))?;
        if version == active {
            return Err(NotDone::Already(format!("policy `{name}` is active")));
        }
        if self.holds(|change| matches!(change, Change::ActivatePolicy { .. })) {
            return Err(NotDone::Held("the policy".to_owned()));
        }
        Ok(Planned {
            words: format!("activate policy {name}"),
            change: Change::ActivatePolicy { version },
            ends_at: self.end(lasts),
            ends_by_itself: false,
            reverse: Reverse::Change(Box::new(Change::ActivatePolicy { version: active })),
        })
    }

    fn lower(&self, id: &str, to: Lower, lasts: SignedDuration) -> Result<Planned, NotDone> {
        let mut limits = self.situation.configuration.limits.iter();
        let present = limits.find(|rule| rule.id == id);
        let present = present.ok_or_else(|| NotDone::UnknownLimit(id.into()))?;
        if self.holds(|change| matches!(change, Change::SetLimit { limit } if limit.id() == id)) {
            return Err(NotDone::Held(format!("limit `{id}`")));
        }
        let most = match to {
            Lower::To(most) => most,
            Lower::Part(part) => {
                let scaled = i128::from(present.most) * i128::from(part) / 10_000;
                i64::try_from(scaled).unwrap_or(present.most)
            }
        };
        if most >= present.most {
            return Err(NotDone::NotLower {
                limit: id.into(),
                most: present.most,
            });
        }
        let mut by_hand = self.situation.control.limits.iter();
        let before = by_hand.find(|setting| setting.id() == id);
        let reverse = match before {
            Some(setting) => Change::SetLimit {
                limit: setting.clone(),
            },
            None => Change::ClearLimit { id: id.to_owned() },
        };
        let limit = match before {
            // A limit that only somebody's hand has set must stay a whole one.
            Some(LimitSetting::Rule(rule)) => {
                let mut rule = rule.clone();
                rule.most = most;
                LimitSetting::Rule(rule)
            }
            Some(LimitSetting::Most { .. }) | None => LimitSetting::Most {
                id: id.to_owned(),
                most,
            },
        };
        Ok(Planned {
            words: format!("lower limit {id} from {} to {most}", present.most),
            change: Change::SetLimit { limit },
            ends_at: self.end(lasts),
            ends_by_itself: false,
            reverse: Reverse::Change(Box::new(reverse)),
        })
    }

    fn holds(&self, is_meant: impl FnMut(&Change) -> bool) -> bool {
        self.situation.held.iter().any(is_meant)
    }

    fn refuse_last(&self, after: &Open<'_>) -> Result<(), NotDone> {
        match self.open.lost_method(after) {
            Some(method) => Err(NotDone::LastChannel { method }),
            None => Ok(()),
        }
    }

    fn channel(&self, word: Option<&Word>) -> Result<Option<ChannelId>, NotDone> {
        let Some(name) = self.word(word)? else {
            return Ok(None);
        };
        let channels = &self.situation.configuration.channels;
        let known = channels.index_of(&name).and_then(|index| channels.get(index));
        match known {
            Some(channel) => Ok(Some(channel.id.clone())),
            None => Err(NotDone::UnknownChannel(name)),
        }
    }

    /// The name that a word stands for; `None` where there is no word.
    fn word(&self, word: Option<&Word>) -> Result<Option<String>, NotDone> {
        let Some(word) = word else { return Ok(None) };
        let Some(label) = word.label() else {
            return Ok(Some(word.as_str().to_owned()));
        };
        match self.situation.labels.get(label) {
            Some(value) => Ok(Some(value.to_string())),
            None => Err(NotDone::NoLabel(label.into())),
        }
    }

    fn end(&self, lasts: SignedDuration) -> Timestamp {
        self.situation.now.checked_add(lasts).unwrap_or(Timestamp::MAX)
    }

    fn reason(&self) -> String {
        let alert = self.situation.labels.get("alertname");
        let alert = alert.map_or("an alert", |name| &**name);
        format!("runbook {} for {alert}", self.runbook.name)
    }
}

/// A suspension's scope in plain words.
fn scope_words(scope: &Scope) -> String {
    let parts = [
        ("channel", scope.channel.as_ref().map(ChannelId::as_str)),
        ("issuer", scope.issuer.as_deref()),
        ("region", scope.region.as_deref()),
        ("method", scope.method.as_deref()),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name} {value}")))
        .collect();
    said.join(", ")
}
