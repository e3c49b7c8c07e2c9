//! Alerts with several real alerters, of which some are killed: one incident each, and whoever is told is told once.

use std::time::Duration;

use domain::outcome::OutcomeClass::{Success, TechnicalFailure};
use rig::Program;
use tokio::time::interval;

use crate::shop::{FIRING, RESOLVED, RULES, Shop};
use crate::support::eventually;

/// When `alerter` last evaluated, in seconds since 1970; 0 when it never did.
fn evaluated_at(alerter: &Program) -> f64 {
    let metrics = rig::program::get(alerter.address("probes on"), "/metrics").unwrap();
    let lines = metrics.lines().filter_map(|line| {
        line.strip_prefix("payroute_alert_evaluator_last_success_timestamp_seconds")?
            .rsplit(' ')
            .next()
    });
    lines.filter_map(|value| value.parse().ok()).fold(0.0, f64::max)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_eight_alerters_find_the_same_breach_and_open_one_incident() {
    let shop = Shop::open(1, RULES).await;
    let alerters: Vec<Program> = (0..8).map(|_| shop.house.alerter()).collect();
    // No lease lasts: all of them evaluate.
    shop.house.sql(
        "create function generous() returns trigger language plpgsql as $$ begin new.until_us := 0; return new; end $$; \
         create trigger generous before update on alert_lease for each row execute function generous()",
    );
    eventually("all of them to evaluate", async || {
        alerters
            .iter()
            .all(|alerter| evaluated_at(alerter) > 0.0)
            .then_some(())
    })
    .await;
    shop.report(&[0], TechnicalFailure, 20).await;
    eventually("both receivers to be told", async || {
        (!shop.heard().is_empty() && shop.pages() == (1, 0)).then_some(())
    })
    .await;
    let told: Vec<f64> = alerters.iter().map(evaluated_at).collect();
    eventually("all of them to look again", async || {
        let mut both = alerters.iter().map(evaluated_at).zip(&told);
        both.all(|(now, before)| now > before + 1.0).then_some(())
    })
    .await;
    assert_eq!(shop.incidents().await.len(), 1);
    assert_eq!(shop.heard(), [FIRING]);
    assert_eq!(shop.house.zoo.incidents()[0].repeats, 0);
}

/// Where an evaluator is killed: before it has written so much of what it found.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// Nothing but its lease.
    Alert,
    /// The alert and its clocks.
    Incident,
    /// The incident.
    Timeline,
    /// The timeline; the deliveries are next.
    Delivery,
    /// Everything, but it is not committed.
    Commit,
    /// Everything.
    Committed,
}

impl Point {
    const ALL: [Self; 6] = [
        Self::Alert,
        Self::Incident,
        Self::Timeline,
        Self::Delivery,
        Self::Commit,
        Self::Committed,
    ];

    /// The trigger that lets the transaction stand still there; `None` when it is let through.
    const fn trigger(self) -> Option<&'static str> {
        match self {
            Self::Alert => Some("create trigger stand before insert on alert for each row"),
            Self::Incident => Some("create trigger stand before insert on incident for each row"),
            Self::Timeline => Some("create trigger stand before insert on incident_entry for each row"),
            Self::Delivery => Some("create trigger stand before insert on delivery for each row"),
            Self::Commit => Some(
                "create constraint trigger stand after insert on incident deferrable initially deferred for each row",
            ),
            Self::Committed => None,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_an_evaluator_killed_at_any_point_of_its_write_leaves_all_of_it_or_nothing() {
    let shop = Shop::open(Point::ALL.len(), &RULES.replace("by: provider", "by: channel")).await;
    shop.house.sql(
        "create function stand() returns trigger language plpgsql as $$ begin perform pg_sleep(600); return new; end $$",
    );
    for (round, point) in Point::ALL.into_iter().enumerate() {
        let alerter = shop.house.alerter();
        if let Some(trigger) = point.trigger() {
            shop.house.sql(&format!("{trigger} execute function stand()"));
        }
        shop.report(&[round], TechnicalFailure, 20).await;
        eventually(&format!("{point:?}"), async || {
            let asleep = "select count(*) from pg_stat_activity where datname = current_database() \
                          and wait_event = 'PgSleep'";
            let reached = match point.trigger() {
                None => shop.incidents().await.len() > round,
                Some(_) => shop.house.sql(asleep) != "0",
            };
            reached.then_some(())
        })
        .await;
        alerter.kill().unwrap();
        shop.house.expire();
        // Both receivers are owed each incident, and none is owed what is not there.
        let is_there = usize::from(matches!(point, Point::Committed));
        assert_eq!(shop.incidents().await.len(), round + is_there, "{point:?}");
        assert_eq!(
            shop.house.deliveries().await.len(),
            2 * (round + is_there),
            "{point:?}"
        );
        shop.house.sql(
            "drop trigger if exists stand on alert; drop trigger if exists stand on incident; \
                  drop trigger if exists stand on incident_entry; drop trigger if exists stand on delivery; \
                  delete from alert_lease",
        );
        let _alerter = shop.house.alerter();
        eventually(&format!("the page after {point:?}"), async || {
            (shop.pages() == (round + 1, 0) && shop.heard().len() == round + 1).then_some(())
        })
        .await;
        shop.house.sql("delete from alert_lease");
    }
    assert_eq!(shop.incidents().await.len(), Point::ALL.len());
    assert_eq!(shop.heard(), [FIRING; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_five_hundred_alerts_in_a_second_with_workers_dying_are_one_message_for_each_group() {
    const CHANNELS: usize = 250;
    // As many channels as a configuration may have, nearly, and two rules about each.
    let rule = RULES.split_once("rules:\n").unwrap().1;
    let rules = format!("{RULES}{}", rule.replace("name: Low", "name: Again"));
    let rules = rules.replace("interval: 10s", "interval: 1m");
    let shop = Shop::open(CHANNELS, &rules).await;
    let all: Vec<usize> = (0..CHANNELS).collect();
    let mut workers = [shop.house.alerter(), shop.house.alerter(), shop.house.alerter()];
    shop.report(&all, TechnicalFailure, 4).await;
    let mut seconds = interval(Duration::from_secs(1));
    for second in 0..9 {
        seconds.tick().await;
        let next = shop.house.alerter();
        std::mem::replace(&mut workers[second % 3], next).kill().unwrap();
    }
    eventually("each group to be told", async || {
        (shop.pages() == (4, 0) && shop.heard().len() == 4).then_some(())
    })
    .await;
    assert_eq!(shop.incidents().await.len(), 2 * CHANNELS);
    for worker in &mut workers {
        let next = shop.house.alerter();
        std::mem::replace(worker, next).kill().unwrap();
    }
    shop.report(&all, Success, 3).await;
    shop.thrive(&all, "all of them to be over", async || {
        (shop.pages() == (0, 4) && shop.heard().len() == 8).then_some(())
    })
    .await;
    shop.all_over(2 * CHANNELS).await.expect("every incident is over");
    let heard = shop.heard();
    assert_eq!(heard[..4], [FIRING; 4]);
    assert_eq!(heard[4..], [RESOLVED; 4]);
}
