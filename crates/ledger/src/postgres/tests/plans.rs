//! How the server finds what is asked for, in partitions that are full.

use sqlx::AssertSqlSafe;

use super::*;
use crate::conformance::sample;

/// Ten days of a thousand attempts each, with their names.
async fn ten_days() -> PostgresLedger {
    let ledger = open(&database().await).await;
    // One through the front door for each day, so that the partitions are there.
    let days = (0..10_i64).map(|day| {
        let mut attempt = sample::attempt(&format!("day{day}"));
        attempt.received_at = sample::at(day * 24 * 3_600_000_000);
        attempt
    });
    ledger.commit(&batch(days)).await.unwrap();
    let copies = "\
        insert into attempt_name select merchant_id, attempt_id || '-' || n, received_at + n * interval '1 s', \
        seq * 1000000 + n from attempt_name, generate_series(1, 1000) as n; \
        insert into attempt select seq * 1000000 + n, merchant_id, attempt_id || '-' || n, payment_id || '-' || n, \
        attempt_no, decision_id, channel_id, account_id, method, issuer, region, band, amount_minor, currency, result, \
        provider, code, sub_code, http_status, transport_event, message, provider_reference, network_advice_code, \
        reason, certainty, class, state, decided_at, trace_id, started_at, received_at + n * interval '1 s', \
        latency_ms, digest from attempt, generate_series(1, 1000) as n; \
        analyze attempt; analyze attempt_name";
    sqlx::raw_sql(copies).execute(&ledger.pool).await.unwrap();
    ledger
}

async fn plan(ledger: &PostgresLedger, statement: &str) -> String {
    let explain = format!("explain (analyze, costs off, timing off, summary off) {statement}");
    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(explain))
        .fetch_all(&ledger.pool)
        .await
        .unwrap();
    lines.join("\n")
}

/// How many index scans on partitions were run, and not skipped because their day cannot hold it.
fn scans(plan: &str) -> usize {
    plan.lines()
        .filter(|line| line.contains(" using attempt_p") && !line.contains("never executed"))
        .count()
}

#[tokio::test]
async fn look_ups_go_by_an_index() {
    let ledger = ten_days().await;
    for (statement, most_days) in [
        // By name, in the one day that the name tells.
        (
            "select attempt.seq from unnest(array['shop'], array['day3-5']) as asked (merchant_id, attempt_id) \
             join attempt_name as name using (merchant_id, attempt_id) \
             join attempt on attempt.received_at = name.received_at and attempt.seq = name.seq",
            1,
        ),
        // The same, locked.
        (
            "select seq from (select distinct name.received_at as at, name.seq as number \
             from unnest(array['shop'], array['day3-5']) as asked (merchant_id, attempt_id) \
             join attempt_name as name using (merchant_id, attempt_id) order by 1, 2) as found \
             cross join lateral (select * from attempt \
             where attempt.received_at = found.at and attempt.seq = found.number for update) as attempt",
            1,
        ),
        // A payment may have attempts on any day.
        (
            "select seq from attempt where merchant_id = 'shop' and payment_id = 'p1-7' \
             order by attempt_no, received_at, seq",
            14,
        ),
        // A page ends in the day in which it is full.
        (
            "select seq from attempt where received_at >= '2026-09-23' and (received_at, seq) > ('2026-09-23', 1) \
             and class is not null order by received_at, seq limit 10",
            1,
        ),
        (
            "update attempt set state = given.state, class = given.class \
             from unnest(array[(select received_at from attempt_name where attempt_id = 'day3-5')], array[1], \
             array['a'], array['timeout']) as given (at, number, state, class) \
             where attempt.received_at = given.at and attempt.seq = given.number",
            1,
        ),
    ] {
        let plan = plan(&ledger, statement).await;
        assert!(!plan.contains("Seq Scan"), "{plan}");
        assert!((1..=most_days).contains(&scans(&plan)), "{plan}");
    }
}

#[tokio::test]
async fn counting_looks_at_the_days_of_its_span_only() {
    let ledger = ten_days().await;
    let plan = plan(
        &ledger,
        "select channel_id, count(*) from attempt where received_at >= '2026-09-23' and received_at < '2026-09-24' \
         and class is not null group by 1",
    )
    .await;
    assert!(plan.contains("attempt_p20260923"), "{plan}");
    assert!(!plan.contains("attempt_p20260924"), "{plan}");
}
