//! What all changes have in common: who makes them, and what is answered.

use axum::Json;
use axum::http::HeaderValue;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use domain::control::{Applied, Change};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Desk;
use crate::caller::{Known, Operator};
use crate::problem::Problem;

/// What is answered to a change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Receipt {
    /// The revision that the change led to. Every process follows within two seconds.
    pub(crate) revision: u64,
}

/// An answer that carries the revision it is of, as its entity tag.
pub(crate) struct At<T>(pub(crate) u64, pub(crate) T);

impl<T: IntoResponse> IntoResponse for At<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

impl Desk {
    /// Makes `change` in the operator's name.
    pub(crate) async fn make(
        &self,
        change: Change,
        Operator(by): &Operator,
        Known(expected): &Known,
    ) -> Result<Applied, Problem> {
        let applied = self.editor.make(change, by, *expected).await?;
        let (revision, by) = (applied.control.revision, by.as_str());
        tracing::info!(
            revision,
            by,
            "{by} changed the configuration, which is at revision {revision}"
        );
        Ok(applied)
    }

    /// Makes `change` and answers with its revision.
    pub(crate) async fn change(
        &self,
        change: Change,
        operator: &Operator,
        known: &Known,
    ) -> Result<At<Json<Receipt>>, Problem> {
        let revision = self.make(change, operator, known).await?.control.revision;
        Ok(At(revision, Json(Receipt { revision })))
    }

    /// The control state, which must be there.
    pub(crate) async fn control(&self) -> Result<domain::control::Control, Problem> {
        let control = self.store().control().await?;
        control.ok_or_else(|| domain::control::Refused::NotImported.into())
    }
}
