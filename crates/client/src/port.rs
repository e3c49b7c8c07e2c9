//! What the client asks of Payroute, so that tests can answer in its place.

use proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The calls. Each asks the routers once, the next when one does not answer; repeating is the business of the caller.
pub(crate) trait Payroute: Send + Sync + 'static {
    /// Where an attempt goes.
    fn route(
        &self,
        request: &v1::RouteRequest,
    ) -> impl Future<Output = Result<v1::RouteResponse, Status>> + Send;

    /// What became of it. Counted once, however often it is told.
    fn report(
        &self,
        request: &v1::ReportOutcomeRequest,
    ) -> impl Future<Output = Result<v1::ReportOutcomeResponse, Status>> + Send;

    /// What is known by now of one that was open.
    fn resolve(
        &self,
        request: &v1::ResolveAttemptRequest,
    ) -> impl Future<Output = Result<v1::ResolveAttemptResponse, Status>> + Send;
}

/// Whether another router, or the same one later, may answer what this one did not. An error that has a source is our
/// own end's, about a connection that broke: whether the call was carried out, nobody knows.
pub(crate) fn may_pass(status: &Status) -> bool {
    let for_now = matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Cancelled
            | Code::Aborted
    );
    for_now || std::error::Error::source(status).is_some()
}

/// The stable reason of a refusal, as `docs/errors.md` lists them; empty when it has none.
pub(crate) fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}
