//! What alerts are evaluated on goes away, what they are kept in, and all who evaluate.

use domain::outcome::OutcomeClass::TechnicalFailure;
use rig::Redis;
use rig::zoo::ROUTING_KEYS;
use tokio::time::{Duration, Instant};

use crate::shop::{FIRING, RECEIVERS, RULES, Shop};
use crate::support::{House, eventually};

/// A rule about what the health snapshot says.
const STREAK: &str = "version: 1
rules:
  - name: Failing
    metric: failure_streak
    by: channel
    at_least: 5
    keep_firing_for: 30s
    severity: critical
    group: {wait: 0s, interval: 10s}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f33_an_alert_goes_on_when_the_statistics_are_emptied_and_nobody_counts() {
    let redis = Redis::start().unwrap();
    let mut house = House::open(RECEIVERS).await;
    house.redis = redis.url();
    let shop = Shop::of(house, 2, STREAK);
    let monitor = shop.house.start("monitor", &["probes on"]);
    let _alerter = shop.house.alerter();
    shop.report(&[0], TechnicalFailure, 5).await;
    eventually("the page", async || (shop.pages() == (1, 0)).then_some(())).await;
    monitor.kill().unwrap();
    redis.ask(&["FLUSHALL"]).unwrap();
    let incident = shop.incidents().await.pop().unwrap();
    eventually("the loss of the data to be noted", async || {
        shop.kinds(&incident).await.contains("data_lost").then_some(())
    })
    .await;
    // Somebody counts again, and nothing has failed since: that is no recovery either.
    let _monitor = shop.house.start("monitor", &["probes on"]);
    eventually("the statistics to be there again", async || {
        (redis.ask(&["DBSIZE"]).unwrap() != "0").then_some(())
    })
    .await;
    assert!(!shop.kinds(&incident).await.contains("recovering"));
    let incidents = shop.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].resolved, None);
    assert_eq!(shop.pages(), (1, 0));
    assert_eq!(shop.heard(), [FIRING]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f34_without_the_ledger_the_emergency_receiver_is_told_and_then_nothing_is_told_twice() {
    let [_, emergency] = ROUTING_KEYS;
    let receivers = format!(
        "emergency: boss\n{RECEIVERS}  - {{name: boss, to: {{pagerduty: {{url: ZOO/v2/enqueue, \
         routing_keys: [{emergency}]}}}}}}\n"
    );
    let rules = RULES.replace(
        "    severity: critical\n",
        "    severity: critical\n    receivers: [hook, duty]\n",
    );
    let mut shop = Shop::of(House::apart(&receivers).await, 4, &rules);
    let _alerters = [shop.house.alerter(), shop.house.alerter()];
    shop.report(&[0], TechnicalFailure, 20).await;
    eventually("the page", async || {
        (shop.pages() == (1, 0) && shop.heard().len() == 1).then_some(())
    })
    .await;
    shop.house.server.as_mut().unwrap().kill();
    eventually("the emergency receiver to be told", async || {
        (shop.pages_of(emergency).0 > 0).then_some(())
    })
    .await;
    shop.house.server.as_mut().unwrap().restart().unwrap();
    eventually("its end to be told", async || {
        (shop.pages_of(emergency).0 == 0).then_some(())
    })
    .await;
    // What was known before is known, and what breaks now is told as ever. The channel is of the other provider.
    shop.report(&[1], TechnicalFailure, 20).await;
    eventually("the page of the other channel", async || {
        (shop.pages() == (2, 0) && shop.heard().len() == 2).then_some(())
    })
    .await;
    assert_eq!(shop.incidents().await.len(), 2);
    assert_eq!(shop.heard(), [FIRING; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_when_all_alerters_are_dead_the_sign_of_life_stops_and_the_outside_sees_it() {
    // How long somebody outside waits for the next sign: a minute, and what a slow network may take.
    const OUTSIDE: Duration = Duration::from_secs(70);
    let receivers = "watchdog: outside\nreceivers:\n  - {name: outside, to: {webhook: {url: ZOO/hook, keys: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}}\n";
    let shop = Shop::of(House::open(receivers).await, 1, RULES);
    let alerters = [shop.house.alerter(), shop.house.alerter()];
    let signs = || {
        shop.heard()
            .iter()
            .filter(|topic| *topic == "payroute.watchdog")
            .count()
    };
    eventually("the first sign", async || (signs() > 0).then_some(())).await;
    let last = Instant::now();
    for alerter in alerters {
        alerter.kill().unwrap();
    }
    let before = signs();
    eventually("the outside to miss a sign", async || {
        (last.elapsed() > OUTSIDE).then_some(())
    })
    .await;
    assert_eq!(signs(), before);
    let _alerter = shop.house.alerter();
    eventually("a sign of the new one", async || (signs() > before).then_some(())).await;
}
