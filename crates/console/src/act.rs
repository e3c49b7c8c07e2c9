//! What people do about alerts, in their name and with its audit entry.

use axum::Json;
use ledger::alert::{Act, Acted, Deed};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Desk;
use crate::caller::Operator;
use crate::problem::{Kind, Problem};

/// What is answered to an act.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// The version of the alert rules that are in force; 0 when none were put into force.
    pub(crate) rules: u64,
}

impl Desk {
    /// Does what somebody asks for.
    pub(crate) async fn act(&self, deed: Deed, Operator(by): Operator) -> Result<Json<Done>, Problem> {
        let act = Act {
            deed,
            by,
            at: self.clock.now(),
        };
        match self.alerts.act(&act).await? {
            Acted::Done { rules } => Ok(Json(Done { rules })),
            Acted::Unknown => Err(Problem::new(Kind::NotFound, "there is nothing of that name")),
            Acted::TooLate => Err(Problem::new(
                Kind::Conflict,
                "it cannot be done now: the incident still goes on or is over, the silence is over, or the rules are others",
            )),
        }
    }
}
