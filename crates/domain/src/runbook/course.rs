//! A runbook at work on one incident: what of it was done, what comes next, and what is left to be ended.
//!
//! Whoever keeps a course asks it for what comes [`next`](Course::next), writes the answer down *before* making the
//! change, and tells it afterwards [what became of it](Course::settle). Whoever dies in between leaves the intent with
//! the revision that it was for: the next one makes it for the same revision, and finds it made or overtaken.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::plan::{Deed, NotDone, Planned, Situation, plan_step};
use super::{Run, Runbook};
use crate::alert::Labels;
use crate::control::{Actor, Change, Control};
use crate::named::named;

/// A runbook at work on one incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// The runbook, as it was when the incident began.
    pub runbook: Runbook,
    /// The alert's labels.
    pub labels: Labels,
    /// Who let it go; `None` while it waits for somebody's word. A runbook that runs by itself has its own name here.
    pub by: Option<Actor>,
    /// Who wants it taken back.
    pub back: Option<Actor>,
    /// How far each step is.
    pub stages: Vec<Stage>,
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was not begun.
    Waiting,
    /// It is being made, for this revision of the control state.
    Making {
        /// What is made.
        planned: Box<Planned>,
        /// The revision.
        expected: u64,
    },
    /// It was made, and holds until its end.
    Made(Made),
    /// Somebody was told.
    Told,
    /// It was not done.
    NotDone {
        /// Why, in plain words.
        why: String,
    },
    /// It is being taken back, for this revision of the control state.
    Ending {
        /// What was made.
        made: Made,
        /// What takes it back.
        change: Box<Change>,
        /// The revision.
        expected: u64,
    },
    /// It was made, and holds no more.
    Over {
        /// What was made, in plain words.
        words: String,
        /// How it ended.
        end: End,
    },
}

/// A change that a step has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What was made.
    pub planned: Box<Planned>,
    /// The revision of the control state that it led to.
    pub revision: u64,
}

named! {
    /// How what a step has made came to its end.
    pub enum End {
        /// Its time was up.
        TimeUp = "time_up",
        /// Somebody wanted it taken back.
        Reverted = "reverted",
        /// Somebody had changed it meanwhile, and that was left alone.
        Overtaken = "overtaken",
    }
}

/// What a course wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// To be written down.
    Note,
    /// To be written down, and then this change to be made for this revision of the control state, and no other.
    Make {
        /// The change.
        change: Change,
        /// The revision.
        expected: u64,
    },
    /// To be written down together with what is to be told.
    Tell {
        /// Whom.
        receivers: Vec<Box<str>>,
        /// What.
        text: Box<str>,
    },
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was made, and led to this revision.
    Made(u64),
    /// Somebody else changed something first.
    Stale,
    /// It cannot be made.
    Refused(String),
}

/// What happened to a step, for a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The step, from 0.
    pub step: usize,
    /// What happened, in one word.
    pub word: &'static str,
    /// What happened, in one sentence.
    pub text: String,
}

impl Course {
    /// `runbook` at work on an alert with `labels`; `itself` lets it go when it runs by itself.
    #[must_use]
    pub fn begin(runbook: &Runbook, labels: &Labels, itself: &Actor) -> Self {
        Self {
            runbook: runbook.clone(),
            labels: labels.clone(),
            by: (runbook.run == Run::Automatically).then(|| itself.clone()),
            back: None,
            stages: vec![Stage::Waiting; runbook.steps.len()],
        }
    }

    /// Whether it waits for somebody's word.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.by.is_none() && self.back.is_none() && self.stages.contains(&Stage::Waiting)
    }

    /// Somebody lets it go; whether it waited for that.
    pub fn approve(&mut self, by: &Actor) -> bool {
        let waits = self.is_offered();
        if waits {
            self.by = Some(by.clone());
        }
        waits
    }

    /// Somebody wants it taken back; whether there is anything to take back, or to leave undone.
    pub fn take_back(&mut self, by: &Actor) -> bool {
        let can = self.back.is_none() && !self.is_over();
        if can {
            self.back = Some(by.clone());
        }
        can
    }

    /// Whether nothing of it is left to be done or to be ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stages
            .iter()
            .all(|stage| matches!(stage, Stage::Told | Stage::NotDone { .. } | Stage::Over { .. }))
    }

    /// The changes that it has made, or is making, and has to take back itself.
    pub fn holds(&self) -> impl Iterator<Item = &Change> {
        let planned = self.stages.iter().filter_map(|stage| match stage {
            Stage::Making { planned, .. } => Some(planned),
            Stage::Made(made) | Stage::Ending { made, .. } => Some(&made.planned),
            _ => None,
        });
        planned
            .filter(|planned| !planned.ends_by_itself)
            .map(|planned| &planned.change)
    }

    /// The name of the policy that its next step wants, if it wants one.
    #[must_use]
    pub fn wants_policy(&self) -> Option<&str> {
        let waiting = self.stages.iter().position(|stage| *stage == Stage::Waiting)?;
        match self.runbook.steps.get(waiting)? {
            super::Step::ActivatePolicy { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What comes next, and what is to be said of it; `None` when there is nothing to do now. `goes_on` is whether the
    /// alert does: what was not begun by its end is not done.
    pub fn next(&mut self, situation: &Situation<'_>, goes_on: bool) -> Option<(Next, Option<Line>)> {
        if let Some(again) = self.intent() {
            return Some((again, None));
        }
        if let Some(ending) = self.end_one(situation) {
            return Some(ending);
        }
        let step = self.stages.iter().position(|stage| *stage == Stage::Waiting)?;
        let given_up = if self.back.is_some() {
            Some("it was taken back before")
        } else if !goes_on {
            Some("the alert was over before")
        } else {
            None
        };
        if let Some(why) = given_up {
            return Some(self.not_done(step, why.to_owned()));
        }
        self.by.as_ref()?;
        let planned = plan_step(&self.runbook, self.runbook.steps.get(step)?, situation);
        Some(self.begin_step(step, planned, situation.control.revision))
    }

    /// Takes note of what became of the change that [`Course::next`] wanted last.
    pub fn settle(&mut self, settled: &Settled, by: Option<&Actor>) -> Option<Line> {
        let wanted = |stage: &Stage| matches!(stage, Stage::Making { .. } | Stage::Ending { .. });
        let step = self.stages.iter().position(wanted)?;
        let end = if self.back.is_some() {
            End::Reverted
        } else {
            End::TimeUp
        };
        let stage = self.stages.get_mut(step)?;
        let (after, line) = match (stage.clone(), settled) {
            (Stage::Making { planned, .. }, Settled::Made(revision)) => {
                let text = format!("{}, until {:.0}", planned.words, planned.ends_at);
                let made = Made {
                    planned,
                    revision: *revision,
                };
                (Stage::Made(made), Some(("made", text)))
            }
            (Stage::Making { .. }, Settled::Stale) => (Stage::Waiting, None),
            (Stage::Making { planned, .. }, Settled::Refused(why)) => {
                let text = format!("not done: {}: {why}", planned.words);
                (Stage::NotDone { why: why.clone() }, Some(("not_done", text)))
            }
            (Stage::Ending { made, .. }, Settled::Made(_)) => {
                let words = made.planned.words;
                let text = match (end, by) {
                    (End::Reverted, Some(by)) => format!("taken back for {by}: {words}"),
                    _ => format!("its time is up, and it is as it was before: {words}"),
                };
                (Stage::Over { words, end }, Some(("over", text)))
            }
            (Stage::Ending { made, .. }, Settled::Stale) => (Stage::Made(made), None),
            (Stage::Ending { made, .. }, Settled::Refused(why)) => {
                let words = made.planned.words;
                let text = format!("cannot be taken back, and is left: {words}: {why}");
                let end = End::Overtaken;
                (Stage::Over { words, end }, Some(("over", text)))
            }
            (other, _) => (other, None),
        };
        *stage = after;
        line.map(|(word, text)| Line { step, word, text })
    }

    /// The change that was written down and of which it is not known whether it was made.
    fn intent(&self) -> Option<Next> {
        self.stages.iter().find_map(|stage| match stage {
            Stage::Making { planned, expected } => Some(Next::Make {
                change: planned.change.clone(),
                expected: *expected,
            }),
            Stage::Ending { change, expected, .. } => Some(Next::Make {
                change: (**change).clone(),
                expected: *expected,
            }),
            _ => None,
        })
    }

    /// Ends the latest step that is to be ended now.
    fn end_one(&mut self, situation: &Situation<'_>) -> Option<(Next, Option<Line>)> {
        let (now, back) = (situation.now, self.back.is_some());
        let is_due = |stage: &Stage| match stage {
            Stage::Made(made) => back || made.planned.ends_at <= now,
            _ => false,
        };
        let step = self.stages.iter().rposition(is_due)?;
        let stage = self.stages.get_mut(step)?;
        let Stage::Made(made) = stage.clone() else {
            return None;
        };
        let words = made.planned.words.clone();
        let mut over = |end: End, text: String| {
            *stage = Stage::Over {
                words: words.clone(),
                end,
            };
            let line = Line {
                step,
                word: "over",
                text,
            };
            Some((Next::Note, Some(line)))
        };
        if made.planned.ends_by_itself && made.planned.ends_at <= now {
            return over(End::TimeUp, format!("its time is up: {words}"));
        }
        if !made.stands(situation.control, now) {
            let text = format!("somebody has changed it meanwhile, which is left alone: {words}");
            return over(End::Overtaken, text);
        }
        let change = made.planned.taken_back(made.revision);
        let expected = situation.control.revision;
        *stage = Stage::Ending {
            made,
            change: Box::new(change.clone()),
            expected,
        };
        Some((Next::Make { change, expected }, None))
    }

    fn begin_step(
        &mut self,
        step: usize,
        planned: Result<Deed, NotDone>,
        expected: u64,
    ) -> (Next, Option<Line>) {
        let (stage, next, line) = match planned {
            Err(why) => return self.not_done(step, why.to_string()),
            Ok(Deed::Notify { receivers, text }) => {
                let line = Line {
                    step,
                    word: "told",
                    text: format!("told {}: {text}", receivers.join(", ")),
                };
                (Stage::Told, Next::Tell { receivers, text }, Some(line))
            }
            Ok(Deed::Change(planned)) => {
                let change = planned.change.clone();
                (
                    Stage::Making { planned, expected },
                    Next::Make { change, expected },
                    None,
                )
            }
        };
        if let Some(place) = self.stages.get_mut(step) {
            *place = stage;
        }
        (next, line)
    }

    fn not_done(&mut self, step: usize, why: String) -> (Next, Option<Line>) {
        let line = Line {
            step,
            word: "not_done",
            text: format!("step {} is not done: {why}", step.saturating_add(1)),
        };
        if let Some(place) = self.stages.get_mut(step) {
            *place = Stage::NotDone { why };
        }
        (Next::Note, Some(line))
    }
}

impl Made {
    /// Whether what was made is still as it was made: nobody has changed it since.
    fn stands(&self, control: &Control, now: Timestamp) -> bool {
        match &self.planned.change {
            Change::Suspend { .. } => control
                .suspensions
                .iter()
                .any(|standing| standing.id == self.revision && !standing.is_over(now)),
            Change::ForceBreaker {
                channel,
                forced,
                until,
                reason,
            } => control.breakers.iter().any(|set| {
                set.channel == *channel
                    && set.forced == *forced
                    && set.until == *until
                    && set.reason == *reason
            }),
            Change::ActivatePolicy { version } => control.policy.version == *version,
            Change::SetLimit { limit } => control.limits.contains(limit),
            _ => false,
        }
    }
}
