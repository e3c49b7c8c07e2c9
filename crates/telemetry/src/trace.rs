//! W3C trace context: which trace a call belongs to.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Lets the propagator read headers.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// The caller's place in its trace, from `traceparent` and `tracestate`; empty when there is none that can be read.
///
/// The metadata of a gRPC call are such headers: `metadata.as_ref()`.
#[must_use]
pub fn parent(headers: &HeaderMap) -> Context {
    // Most callers send none, and a propagator is not free to make.
    if !headers.contains_key("traceparent") {
        return Context::new();
    }
    // An empty context to start from: the one of the thread belongs to another call.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Makes `span` a part of the caller's trace and gives the id of the trace it is now in: the caller's, or a new one.
/// `None` when the caller sent none and spans are not exported.
///
/// To be called before the span is entered.
#[must_use = "the trace id belongs into the record of the call"]
pub fn join(span: &Span, headers: &HeaderMap) -> Option<String> {
    let parent = parent(headers);
    let sent = id(&parent);
    if sent.is_some() {
        // Without the exporting layer there is no span to put under the parent, and the caller's id still counts.
        let _not_exported = span.set_parent(parent);
    }
    sent.or_else(|| id(&span.context()))
}

/// The id of the trace that the present span is in; `None` when spans are not exported.
#[must_use]
pub fn current_id() -> Option<String> {
    id(&Span::current().context())
}

/// 32 hexadecimal digits.
fn id(context: &Context) -> Option<String> {
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(traceparent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", traceparent.parse().unwrap());
        headers
    }

    fn from_caller() -> HeaderMap {
        headers(&format!("00-{TRACE}-00f067aa0ba902b7-01"))
    }

    #[test]
    fn the_callers_trace_is_known_also_when_nothing_is_exported() {
        assert_eq!(join(&Span::none(), &from_caller()).as_deref(), Some(TRACE));
    }

    #[test]
    fn what_is_no_trace_context_is_ignored() {
        for text in [
            "",
            "00-xyz",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_eq!(join(&Span::none(), &headers(text)), None, "{text}");
        }
        assert_eq!(join(&Span::none(), &HeaderMap::new()), None);
    }

    #[test]
    fn an_exported_span_joins_the_callers_trace_or_begins_its_own() {
        let provider = SdkTracerProvider::builder().build();
        let export = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(export);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("report");
            assert_eq!(join(&span, &from_caller()).as_deref(), Some(TRACE));
            assert_eq!(span.in_scope(current_id).as_deref(), Some(TRACE));
            let own = join(&tracing::info_span!("alone"), &HeaderMap::new()).unwrap();
            assert_eq!(own.len(), 32);
            assert_ne!(own, TRACE);
        });
    }
}
