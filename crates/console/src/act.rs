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
    /// The version of the document that was put into force, or checked: the one in force then, 0 when none was put into
    /// force. 0 for everything else.
    pub(crate) version: u64,
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
            Acted::Done { version } => Ok(Json(Done { version })),
            Acted::Unknown => Err(Problem::new(Kind::NotFound, "there is nothing of that name")),
            Acted::TooLate => Err(Problem::new(
                Kind::Conflict,
                "it cannot be done now: the incident still goes on or is over, the silence is over, or the document or the run is another by now",
            )),
        }
    }
}
