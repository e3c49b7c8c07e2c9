//! `init` as a main calls it, in a process of its own because logs and metrics are the process's.

#![cfg(test)]

use std::time::Duration;

use payroute_telemetry::{InitError, Service, Settings, init, metric};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_turns_everything_on_and_a_dead_collector_does_not_hold_up_the_end() {
    let service = Service {
        name: "payroute-test",
        version: "0",
    };
    let settings = Settings {
        // Port 1 answers nobody.
        otlp_endpoint: Some("http://127.0.0.1:1".to_owned()),
        trace_ratio: 1.0,
        ..Settings::default()
    };
    let guard = init(service, &settings).unwrap();
    metrics::counter!(metric::LATE).increment(3);
    assert!(
        guard
            .metrics()
            .render()
            .contains("payroute_outcome_late_total 3\n")
    );
    let trace = tracing::info_span!("work").in_scope(payroute_telemetry::trace::current_id);
    assert!(trace.is_some());

    let again = init(service, &Settings::default());
    assert!(matches!(again, Err(InitError::Logs(_))), "{again:?}");

    let end = tokio::task::spawn_blocking(move || drop(guard));
    tokio::time::timeout(Duration::from_secs(5), end)
        .await
        .unwrap()
        .unwrap();
}
