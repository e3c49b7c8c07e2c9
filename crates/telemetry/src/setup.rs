//! The one call that turns logs, traces and metrics on.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::metric::{self, Metrics};

/// How long the last spans may take to leave the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Who is speaking: on spans, and at `/version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The name of the service, such as `payroute-router`.
    pub name: &'static str,
    /// The version of the release.
    pub version: &'static str,
}

/// What is logged and exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Which log lines are written, in the notation of `RUST_LOG`: `info`, `info,router=debug`.
    pub log_filter: String,
    /// The form of a log line.
    pub log_format: LogFormat,
    /// Where spans go by OTLP over gRPC, such as `http://127.0.0.1:4317`; without it no span is made.
    pub otlp_endpoint: Option<String>,
    /// Share of the traces that begin here and are exported, 0 to 1. Traces of callers follow their callers' choice.
    pub trace_ratio: f64,
}

impl Default for Settings {
    /// Logs from `info` up as text, no export; with an endpoint, every hundredth trace.
    fn default() -> Self {
        Self {
            log_filter: "info".to_owned(),
            log_format: LogFormat::Text,
            otlp_endpoint: None,
            trace_ratio: 0.01,
        }
    }
}

/// The form of a log line. All go to the standard error stream, which leaves the standard output to results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people; in colours on a terminal.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Why telemetry could not be turned on.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The log filter cannot be read.
    #[error("log filter `{filter}` cannot be read")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// The share of traces is not between 0 and 1.
    #[error("trace ratio {ratio} is not between 0 and 1")]
    Ratio {
        /// The share as given.
        ratio: f64,
    },
    /// Spans cannot be sent there.
    #[error("spans cannot be exported to `{endpoint}`")]
    Export {
        /// The address as given.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: ExporterBuildError,
    },
    /// Logs were turned on before, in the same process.
    #[error("logs are turned on already")]
    Logs(#[source] TryInitError),
    /// Metrics could not be turned on.
    #[error(transparent)]
    Metrics(#[from] metric::InstallError),
}

/// Keeps telemetry going; dropped last, it sends the spans that are still here.
#[derive(Debug)]
#[must_use = "spans are no longer exported when the guard is dropped"]
pub struct Guard {
    service: Service,
    metrics: Metrics,
    spans: Option<SdkTracerProvider>,
}

impl Guard {
    /// Who is speaking.
    #[must_use]
    pub fn service(&self) -> Service {
        self.service
    }

    /// The metrics, for [`crate::probes`].
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(spans) = &self.spans else { return };
        if let Err(error) = spans.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!("the last spans were not exported: {error}");
        }
    }
}

/// Turns on logs, metrics and, where an endpoint is set, the export of spans. Once in a process, within a runtime.
///
/// # Errors
/// When a setting is not usable, or when it was called before.
pub fn init(service: Service, settings: &Settings) -> Result<Guard, InitError> {
    let filter = EnvFilter::try_new(&settings.log_filter).map_err(|source| InitError::Filter {
        filter: settings.log_filter.clone(),
        source,
    })?;
    if !(0.0..=1.0).contains(&settings.trace_ratio) {
        return Err(InitError::Ratio {
            ratio: settings.trace_ratio,
        });
    }
    let spans = settings
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| exporter(service, endpoint, settings.trace_ratio))
        .transpose()?;
    let export = spans.as_ref().map(|provider| {
        let scope = InstrumentationScope::builder(service.name)
            .with_version(service.version)
            .build();
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer_with_scope(scope))
            // The exporter's own connection makes spans below this level, and they would be exported in turn.
            .with_filter(LevelFilter::INFO)
    });
    tracing_subscriber::registry()
        .with(export)
        .with(lines(settings.log_format).with_filter(filter))
        .try_init()
        .map_err(InitError::Logs)?;
    Ok(Guard {
        service,
        metrics: metric::install()?,
        spans,
    })
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    match format {
        LogFormat::Text => layer.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn exporter(service: Service, endpoint: &str, ratio: f64) -> Result<SdkTracerProvider, InitError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|source| InitError::Export {
            endpoint: endpoint.to_owned(),
            source,
        })?;
    let resource = Resource::builder()
        .with_service_name(service.name)
        .with_attribute(KeyValue::new("service.version", service.version))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_resource(resource)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service {
        name: "payroute-test",
        version: "0",
    };

    #[test]
    fn a_bad_log_filter_is_named() {
        let settings = Settings {
            log_filter: "router=loud".to_owned(),
            ..Settings::default()
        };
        let error = init(SERVICE, &settings).unwrap_err();
        assert_eq!(error.to_string(), "log filter `router=loud` cannot be read");
    }

    #[test]
    fn a_ratio_is_a_share_of_one() {
        for ratio in [-0.1, 1.5, f64::NAN] {
            let settings = Settings {
                trace_ratio: ratio,
                ..Settings::default()
            };
            assert!(matches!(init(SERVICE, &settings), Err(InitError::Ratio { .. })));
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_is_no_address_is_named() {
        let settings = Settings {
            otlp_endpoint: Some("not an address".to_owned()),
            ..Settings::default()
        };
        let error = init(SERVICE, &settings).unwrap_err();
        assert_eq!(error.to_string(), "spans cannot be exported to `not an address`");
    }
}
