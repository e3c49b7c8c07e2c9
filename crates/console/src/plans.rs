//! Runbooks at work on an incident: what they offer, have done and have not; one call lets one go, one takes it back.

use axum::Json;
use axum::extract::State;
use domain::breaker_state::BreakerState;
use domain::control::assemble;
use domain::runbook::{Course, Deed, Plan, Situation, Stage, Step, plan};
use jiff::Timestamp;
use ledger::alert::{Act, Acted, Deed as Asked, Direction, Run};
use ledger::control::policy_named;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Desk;
use crate::caller::{Operator, Reader};
use crate::extract::Named;
use crate::problem::{Kind, Problem};

/// How often a wish is made anew because the runbook went on meanwhile.
const TRIES: usize = 16;

pub(crate) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(apply))
        .routes(routes!(revert))
}

/// A runbook at work on an incident.
#[derive(Serialize, ToSchema)]
struct AtWork {
    /// Its name.
    runbook: String,
    /// `offered`: it waits for somebody's word; `applied`: it was let go; `reverted`: somebody wants it taken back;
    /// `over`: nothing of it is left to be done or to be ended.
    state: &'static str,
    /// Who let it go; itself, when it runs by itself.
    applied_by: Option<String>,
    /// Who wanted it taken back.
    reverted_by: Option<String>,
    /// Its steps, in their order.
    steps: Vec<AtStep>,
}

/// A step.
#[derive(Serialize, ToSchema)]
struct AtStep {
    /// `waiting`, `making`, `made`, `told`, `not_done`, `ending` or `over`.
    state: &'static str,
    /// What it does, or why it does nothing; while it waits: as it would be now.
    text: String,
    /// When what it made ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
}

/// Runbooks at work on an incident
///
/// What is offered says what would be done now. What is let go is done within a second by the process that evaluates
/// alerts.
#[utoipa::path(get, path = "/incidents/{id}/plans", tag = "runbooks", params(("id" = String, Path)),
    responses((status = 200, body = Vec<AtWork>), (status = "default", body = Problem)))]
async fn list(
    _: Reader,
    State(desk): State<Desk>,
    Named(id): Named<Uuid>,
) -> Result<Json<Vec<AtWork>>, Problem> {
    if desk.alerts.incident(id).await?.is_none() {
        return Err(Problem::new(
            Kind::NotFound,
            format!("there is no incident `{id}`"),
        ));
    }
    let mut at_work = Vec::new();
    for run in desk.alerts.runs(id).await? {
        at_work.push(desk.shown(&course(&run)?).await?);
    }
    Ok(Json(at_work))
}

/// Let a runbook go that is offered
#[utoipa::path(post, path = "/incidents/{id}/plans/{runbook}/apply", tag = "runbooks",
    params(("id" = String, Path), ("runbook" = String, Path)),
    responses((status = 200, body = AtWork), (status = "default", body = Problem)))]
async fn apply(
    operator: Operator,
    State(desk): State<Desk>,
    Named((id, runbook)): Named<(Uuid, String)>,
) -> Result<Json<AtWork>, Problem> {
    desk.direct(Direction::Apply, (id, &runbook), operator).await
}

/// Take back what a runbook has done, the last step first, and leave the rest undone
#[utoipa::path(post, path = "/incidents/{id}/plans/{runbook}/revert", tag = "runbooks",
    params(("id" = String, Path), ("runbook" = String, Path)),
    responses((status = 200, body = AtWork), (status = "default", body = Problem)))]
async fn revert(
    operator: Operator,
    State(desk): State<Desk>,
    Named((id, runbook)): Named<(Uuid, String)>,
) -> Result<Json<AtWork>, Problem> {
    desk.direct(Direction::Revert, (id, &runbook), operator).await
}

fn course(run: &Run) -> Result<Course, Problem> {
    let read = serde_json::from_value(run.content.clone());
    read.map_err(|_| Problem::new(Kind::Internal, "a later release wrote how far the runbook is"))
}

impl Desk {
    async fn direct(
        &self,
        direction: Direction,
        (id, runbook): (Uuid, &str),
        Operator(by): Operator,
    ) -> Result<Json<AtWork>, Problem> {
        for _ in 0..TRIES {
            let runs = self.alerts.runs(id).await?;
            let Some(mut run) = runs.into_iter().find(|run| run.runbook == runbook) else {
                let detail = format!("no runbook `{runbook}` is at work on incident `{id}`");
                return Err(Problem::new(Kind::NotFound, detail));
            };
            let mut course = course(&run)?;
            let (can, why) = match direction {
                Direction::Apply => (course.approve(&by), "it waits for nobody's word"),
                Direction::Revert => (course.take_back(&by), "nothing of it is left to be taken back"),
            };
            if !can {
                return Err(Problem::new(Kind::Conflict, why));
            }
            let kept = serde_json::to_value(&course);
            let kept = kept.map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
            let before = std::mem::replace(&mut run.content, kept);
            let act = Act {
                deed: Asked::Direct {
                    direction,
                    run,
                    before,
                },
                by: by.clone(),
                at: self.clock.now(),
            };
            if let Acted::Done { .. } = self.alerts.act(&act).await? {
                return Ok(Json(self.shown(&course).await?));
            }
        }
        Err(Problem::new(
            Kind::Conflict,
            "the runbook went on meanwhile, try again",
        ))
    }

    async fn shown(&self, course: &Course) -> Result<AtWork, Problem> {
        let waits = course.stages.contains(&Stage::Waiting);
        let plan = if waits {
            Some(self.plan(course).await?)
        } else {
            None
        };
        let state = if course.is_over() {
            "over"
        } else if course.is_offered() {
            "offered"
        } else if course.back.is_some() {
            "reverted"
        } else {
            "applied"
        };
        let steps = course.stages.iter().zip(&course.runbook.steps).enumerate();
        let steps = steps.map(|(place, (stage, step))| {
            let planned = plan.as_ref().and_then(|plan| plan.steps.get(place));
            let waiting = planned.map_or_else(String::new, |planned| match planned {
                Ok(Deed::Change(planned)) => planned.words.clone(),
                Ok(Deed::Notify { text, .. }) => text.to_string(),
                Err(why) => format!("would not be done: {why}"),
            });
            shown(stage, step, waiting)
        });
        Ok(AtWork {
            runbook: course.runbook.name.to_string(),
            state,
            applied_by: course.by.as_ref().map(ToString::to_string),
            reverted_by: course.back.as_ref().map(ToString::to_string),
            steps: steps.collect(),
        })
    }

    /// What it would do now.
    async fn plan(&self, course: &Course) -> Result<Plan, Problem> {
        let control = self.control().await?;
        let assembled = assemble(&control, &self.editor.catalogue().providers());
        let assembled = assembled.map_err(domain::control::Refused::Invalid)?;
        let mut policies: Vec<(u64, &str)> = Vec::new();
        for step in &course.runbook.steps {
            if let Step::ActivatePolicy { name, .. } = step
                && let Some(version) = policy_named(self.store(), name).await?
            {
                policies.push((version, name));
            }
        }
        let board = self
            .alerts
            .board(None, self.clock.now())
            .await?
            .unwrap_or_default();
        let others: Vec<Course> = board
            .runs
            .iter()
            .filter_map(|run| self::course(run).ok())
            .collect();
        let held: Vec<_> = others.iter().flat_map(Course::holds).cloned().collect();
        let health = self.live.snapshot();
        let is_down = |state| matches!(state, BreakerState::Tripped | BreakerState::Probing);
        let down = health
            .channels
            .iter()
            .filter(|channel| is_down(channel.breaker.state));
        let down: Vec<_> = down.map(|channel| channel.channel.clone()).collect();
        let situation = Situation {
            control: &control,
            configuration: &assembled.configuration,
            policies: &policies,
            down: &down,
            held: &held,
            labels: &course.labels,
            now: self.clock.now(),
        };
        Ok(plan(&course.runbook, &situation))
    }
}

fn shown(stage: &Stage, step: &Step, waiting: String) -> AtStep {
    let (word, text, ends_at) = match stage {
        Stage::Waiting => ("waiting", waiting, None),
        Stage::Making { planned, .. } => ("making", planned.words.clone(), Some(planned.ends_at)),
        Stage::Made(made) => ("made", made.planned.words.clone(), Some(made.planned.ends_at)),
        Stage::Told => {
            let text = match step {
                Step::Notify { text, .. } => text.to_string(),
                _ => String::new(),
            };
            ("told", text, None)
        }
        Stage::NotDone { why } => ("not_done", why.clone(), None),
        Stage::Ending { made, .. } => ("ending", made.planned.words.clone(), Some(made.planned.ends_at)),
        Stage::Over { words, end } => ("over", format!("{words}: {end}"), None),
    };
    AtStep {
        state: word,
        text,
        ends_at,
    }
}
