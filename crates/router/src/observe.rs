//! What every call is measured by, under the names that OpenTelemetry gives them.

use metrics::histogram;
use telemetry::{rpc, trace};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};
use tracing::{Span, info_span};

use crate::error::CallError;

/// A call that is being answered.
pub(crate) struct Call {
    method: &'static str,
    began: Instant,
    /// The call's place in the caller's trace.
    pub(crate) span: Span,
    /// The trace it is in; `None` when nobody traces.
    pub(crate) trace_id: Option<String>,
}

impl Call {
    /// Begins the call of `method`, in full as in `payroute.v1.RoutingService/Route`.
    pub(crate) fn begin(method: &'static str, metadata: &MetadataMap) -> Self {
        let span = info_span!("call", "rpc.method" = method);
        let trace_id = trace::join(&span, metadata.as_ref());
        Self {
            method,
            began: Instant::now(),
            span,
            trace_id,
        }
    }

    /// Ends it with `answer`.
    pub(crate) fn end<T>(self, answer: Result<T, CallError>) -> Result<Response<T>, Status> {
        let answer = self
            .span
            .in_scope(|| answer.map(Response::new).map_err(Status::from));
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        histogram!(
            rpc::SERVER_CALL_DURATION,
            rpc::SYSTEM_NAME => rpc::GRPC,
            rpc::METHOD => self.method,
            rpc::STATUS_CODE => rpc::status_name(code.into()),
        )
        .record(self.began.elapsed().as_secs_f64());
        answer
    }
}
