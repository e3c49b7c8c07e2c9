//! Names that OpenTelemetry gives to the metrics and attributes of remote calls.
//!
//! Release 1.44 of the conventions, where they are a release candidate and still move: named here once. Prometheus
//! allows no dots, so that the metric is spelt with underscores and its unit.

/// Duration of a call as the server sees it, in seconds: `rpc.server.call.duration`.
pub const SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Which system carried the call: always [`GRPC`].
pub const SYSTEM_NAME: &str = "rpc.system.name";
/// The value of [`SYSTEM_NAME`].
pub const GRPC: &str = "grpc";
/// The method in full, such as `payroute.v1.RoutingService/Route`, or [`OTHER_METHOD`].
pub const METHOD: &str = "rpc.method";
/// Stands for every method that the server does not know, so that callers cannot make labels.
pub const OTHER_METHOD: &str = "_OTHER";
/// The status of the answer by its name, see [`status_name`].
pub const STATUS_CODE: &str = "rpc.response.status_code";
/// What went wrong; only where [`is_server_error`].
pub const ERROR_TYPE: &str = "error.type";

/// Names of the gRPC status codes, by number.
const STATUS_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of gRPC status `code`; `UNKNOWN` for a number that gRPC does not have.
#[must_use]
pub fn status_name(code: i32) -> &'static str {
    usize::try_from(code)
        .ok()
        .and_then(|code| STATUS_NAMES.get(code))
        .copied()
        .unwrap_or("UNKNOWN")
}

/// Whether gRPC status `code` is an error of the server's, and not its answer to the caller's.
#[must_use]
pub fn is_server_error(code: i32) -> bool {
    matches!(
        status_name(code),
        "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_is_not_the_servers_error() {
        assert_eq!(status_name(3), "INVALID_ARGUMENT");
        assert!(!is_server_error(3));
        assert!(!is_server_error(0));
    }

    #[test]
    fn a_number_that_grpc_does_not_have_is_unknown() {
        assert_eq!(status_name(17), "UNKNOWN");
        assert_eq!(status_name(-1), "UNKNOWN");
        assert!(is_server_error(99));
    }
}
