//! Runbooks at work: what they want next is written down, made, and written down again.
//!
//! The intent is in the ledger with the revision of the configuration that it is for before the change is made, and the
//! change is made for that revision and no other. So it is made once, however many work on it and wherever one dies:
//! who comes later makes it for the same revision, and finds by the audit log whether it was made.

use domain::alert::{Group, Labels};
use domain::breaker_state::BreakerState;
use domain::channels::Configuration;
use domain::control::{Actor, Change, Control, Refused};
use domain::id::ChannelId;
use domain::runbook::{Course, Line, Next, Runbooks, Settled, Situation, Stage};
use domain::snapshot::HealthSnapshot;
use jiff::Timestamp;
use ledger::LedgerError;
use ledger::alert::{Advance, Advanced, Entry, Incident, Run};
use ledger::control::{ChangeError, policy_named, was_changed_by};
use ledger::delivery::NewDelivery;
use serde_json::Value;
use uuid::Uuid;

use super::memory::Memory;
use super::{Evaluator, page, within};

/// Most steps of one look: a runbook has twenty, of which each is written twice.
const MOST: usize = 100;

/// Who a runbook is in the audit log, at work on an incident.
pub(super) fn actor(runbook: &str, incident: Uuid) -> Option<Actor> {
    Actor::new(format!("runbook {runbook}, incident {incident}")).ok()
}

/// The runbooks that begin with `incident`.
pub(super) fn begin(runbooks: &Runbooks, named: Option<&str>, incident: &Incident) -> Vec<(Run, Entry)> {
    let labels: Labels = incident
        .labels
        .iter()
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
        .collect();
    let about = runbooks.about(&incident.rule, named, &labels);
    let begun = about.into_iter().filter_map(|runbook| {
        let itself = actor(&runbook.name, incident.id)?;
        let course = Course::begin(runbook, &labels, &itself);
        let text = if course.is_offered() {
            format!("runbook {} waits for somebody's word", runbook.name)
        } else {
            format!("runbook {} begins", runbook.name)
        };
        let entry = Entry {
            incident: incident.id,
            key: format!("runbook {} begins", runbook.name),
            at: incident.opened_at,
            kind: "runbook".to_owned(),
            actor: None,
            text,
            content: Value::Null,
        };
        Some((kept(incident.id, &course)?, entry))
    });
    begun.collect()
}

fn kept(incident: Uuid, course: &Course) -> Option<Run> {
    Some(Run {
        incident,
        runbook: course.runbook.name.to_string(),
        is_over: course.is_over(),
        content: serde_json::to_value(course).ok()?,
    })
}

/// What is kept as `run`; `None` for what a later release wrote.
pub(super) fn course(run: &Run) -> Option<Course> {
    serde_json::from_value(run.content.clone())
        .inspect_err(|error| {
            tracing::warn!(%error, runbook = run.runbook, incident = %run.incident, "a runbook at work cannot be read");
        })
        .ok()
}

/// What pages say of the runbooks at work on `incident`, and those that wait for somebody's word.
pub(super) fn said(runs: &[Run], incident: Uuid) -> (Vec<page::Said>, Vec<String>) {
    let mut said = Vec::new();
    let mut offered = Vec::new();
    for course in runs
        .iter()
        .filter(|run| run.incident == incident)
        .filter_map(course)
    {
        let runbook = course.runbook.name.to_string();
        if course.is_offered() {
            offered.push(runbook.clone());
            said.push(page::Said::Offered { runbook });
            continue;
        }
        let made = course.stages.iter().filter_map(|stage| match stage {
            Stage::Made(made) => Some(page::Said::Changed {
                what: made.planned.words.clone(),
                by: format!("runbook {runbook}"),
            }),
            _ => None,
        });
        said.extend(made);
        if course.stages.contains(&Stage::Waiting) {
            said.push(page::Said::Begun { runbook });
        }
    }
    (said, offered)
}

/// Channels that take no payments now.
pub(super) fn down(health: &HealthSnapshot) -> Vec<ChannelId> {
    let is_down = |state| matches!(state, BreakerState::Tripped | BreakerState::Probing);
    let channels = health.channels.iter();
    channels
        .filter(|channel| is_down(channel.breaker.state))
        .map(|channel| channel.channel.clone())
        .collect()
}

/// What one look at the runbooks wants.
struct Wanted {
    run: Run,
    course: Course,
    next: Next,
    line: Option<Line>,
}

impl Evaluator {
    /// Does what runbooks want now, one step after the other.
    pub(super) async fn work_on_runbooks(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        for _ in 0..MOST {
            self.follow_control().await?;
            let Some(wanted) = self.wanted(now).await? else {
                return Ok(());
            };
            let Wanted {
                run,
                mut course,
                next,
                line,
            } = wanted;
            let told = match &next {
                Next::Tell { receivers, text } => self.told(&run, &course, (receivers, text), now),
                Next::Note | Next::Make { .. } => Vec::new(),
            };
            if !self.keep(&run, &course, (line, told), now).await? {
                return Ok(());
            }
            if let Next::Make { change, expected } = next {
                let Some(settled) = self.make(&run, change, expected).await? else {
                    return Ok(());
                };
                let by = course.back.clone();
                let line = course.settle(&settled, by.as_ref());
                if !self.keep(&run, &course, (line, Vec::new()), now).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The first thing that a runbook at work wants.
    async fn wanted(&self, now: Timestamp) -> Result<Option<Wanted>, LedgerError> {
        let (Some(memory), Some((control, configuration))) = (&self.memory, &self.in_force) else {
            return Ok(None);
        };
        let courses: Vec<(&Run, Course)> = memory
            .runs
            .iter()
            .filter_map(|run| Some((run, course(run)?)))
            .collect();
        let held: Vec<Change> = courses
            .iter()
            .flat_map(|(_, course)| course.holds())
            .cloned()
            .collect();
        let down = down(&self.parts.live.snapshot());
        for (run, mut course) in courses {
            let name: Option<Box<str>> = course.wants_policy().map(Box::from);
            let version = match &name {
                Some(name) => within(Box::pin(policy_named(&*self.parts.control, name))).await?,
                None => None,
            };
            let policies: Vec<(u64, &str)> = version.zip(name.as_deref()).into_iter().collect();
            let labels = course.labels.clone();
            let situation = Situation {
                control,
                configuration,
                policies: &policies,
                down: &down,
                held: &held,
                labels: &labels,
                now,
            };
            let goes_on = memory.open.iter().any(|open| open.id == run.incident);
            if let Some((next, line)) = course.next(&situation, goes_on) {
                let run = run.clone();
                return Ok(Some(Wanted {
                    run,
                    course,
                    next,
                    line,
                }));
            }
        }
        Ok(None)
    }

    /// Writes down how far a runbook is; whether it was still as it was read.
    async fn keep(
        &mut self,
        run: &Run,
        course: &Course,
        (line, deliveries): (Option<Line>, Vec<NewDelivery>),
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let (Some(memory), Some(run)) = (&mut self.memory, kept(run.incident, course)) else {
            return Ok(false);
        };
        let entry = line.map(|line| Entry {
            incident: run.incident,
            key: format!("runbook {} {} {}", run.runbook, line.step, line.word),
            at: now,
            kind: "runbook".to_owned(),
            actor: actor(&run.runbook, run.incident),
            text: line.text,
            content: Value::Null,
        });
        let advance = Advance {
            revision: memory.revision,
            runs: vec![run.clone()],
            entries: entry.into_iter().collect(),
            deliveries,
            ..Advance::default()
        };
        match within(self.parts.alerts.advance(&advance)).await {
            Ok(Advanced::Done { revision }) => {
                memory.keep_run(revision, run);
                Ok(true)
            }
            Ok(Advanced::Stale) => {
                self.memory = None;
                Ok(false)
            }
            Err(error) => {
                // It may have been written: what is known is read anew.
                self.memory = None;
                Err(error)
            }
        }
    }

    /// Makes a change for the revision `expected`; `None` when that is not known now.
    async fn make(&self, run: &Run, change: Change, expected: u64) -> Result<Option<Settled>, LedgerError> {
        let Some(actor) = actor(&run.runbook, run.incident) else {
            let why = "its name is too long for the audit log".to_owned();
            return Ok(Some(Settled::Refused(why)));
        };
        let made = expected.saturating_add(1);
        match self.editor.make(change, &actor, Some(expected)).await {
            Ok(applied) => Ok(Some(Settled::Made(applied.control.revision))),
            Err(ChangeError::Stale { .. }) => {
                let ours = was_changed_by(&*self.parts.control, made, &actor);
                Ok(Some(if within(Box::pin(ours)).await? {
                    Settled::Made(made)
                } else {
                    Settled::Stale
                }))
            }
            Err(ChangeError::Refused(refused)) => Ok(Some(Settled::Refused(why(&refused)))),
            Err(ChangeError::Store(error)) => Err(error),
            Err(ChangeError::Contended | ChangeError::Interrupted) => Ok(None),
        }
    }

    /// What a runbook tells. Receivers that know of the alert hear it as a part of that.
    fn told(
        &self,
        run: &Run,
        course: &Course,
        (receivers, text): (&[Box<str>], &str),
        now: Timestamp,
    ) -> Vec<NewDelivery> {
        let Some(memory) = &self.memory else {
            return Vec::new();
        };
        let incident = memory.open.iter().find(|open| open.id == run.incident);
        let Some(incident) = incident else {
            return Vec::new();
        };
        let key = told_as(memory, incident).unwrap_or_else(|| format!("runbook/{}", incident.id));
        let note = page::Note {
            incident,
            key: &key,
            runbook: &course.runbook.name,
            text,
        };
        let owed = receivers.iter().filter_map(|receiver| {
            let locale = self.parts.locales.get(receiver).copied().unwrap_or_default();
            note.delivery(receiver, locale, now)
        });
        owed.collect()
    }
}

/// What receivers know the alert of `incident` by, when they were told of it.
fn told_as(memory: &Memory, incident: &Incident) -> Option<String> {
    let is_about = |group: &&Group| {
        let mut members = group.told.iter().flat_map(|told| told.members.keys());
        members.any(|member| member.as_str() == incident.fingerprint)
    };
    let group = memory.groups.iter().find(is_about)?;
    group.told.as_ref().map(|told| told.key.to_string())
}

/// Why a change was refused, on one line.
fn why(refused: &Refused) -> String {
    refused.to_string().replace('\n', "; ")
}

/// What is in force: the configuration and what it is made of.
pub(super) type InForce = (Control, Configuration);
