//! Receivers that are broken or mean.

use std::time::Duration;

use payroute_delivery::exchange::{Exchange, ExchangeError};
use payroute_delivery::guard::Guard;
use payroute_delivery::judge::{Cause, Verdict};
use payroute_delivery::tls::Tls;
use payroute_delivery::wire::Request;
use rig::zoo::{Mood, Reply};
use serde_json::json;
use tokio::time::Instant;

use crate::stand::{Stand, message, page, send, start};

/// Short, where the test waits for it to pass.
const DEADLINE: Duration = Duration::from_millis(400);

fn request(stand: &Stand) -> Request {
    Request::json(stand.zoo.url("/hook").parse().unwrap(), &json!({}))
}

#[tokio::test]
async fn f39_a_head_without_end_is_given_up_at_the_deadline() {
    let stand = Stand::new();
    for mood in [Mood::SlowHead, Mood::Silence] {
        stand.zoo.next(mood.clone());
        let began = Instant::now();
        let exchange = stand.exchange().with_deadline(DEADLINE);
        let error = exchange.run(request(&stand)).await.unwrap_err();
        assert!(matches!(error, ExchangeError::TimedOut), "{mood:?}: {error}");
        assert!(began.elapsed() >= DEADLINE, "{mood:?}");
    }
}

#[test]
fn f39_the_deadline_of_a_whole_exchange_is_15_seconds() {
    let exchange = Exchange::new(Guard::default(), Tls::new(None).unwrap());
    assert_eq!(exchange.deadline(), Duration::from_secs(15));
}

#[tokio::test]
async fn f39_headers_without_end_are_given_up_at_their_limit() {
    let stand = Stand::new();
    stand.zoo.next(Mood::EndlessHead);
    let error = stand.exchange().run(request(&stand)).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Http(_)), "{error}");
}

#[tokio::test]
async fn f39_of_a_body_without_end_64_kilobytes_are_read() {
    let stand = Stand::new();
    stand.zoo.next(Mood::EndlessBody);
    let answer = stand.exchange().run(request(&stand)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 64 * 1024));
}

#[tokio::test]
async fn f39_a_packed_body_stays_packed() {
    let stand = Stand::new();
    stand.zoo.next(Mood::GzipBomb);
    let answer = stand.exchange().run(request(&stand)).await.unwrap();
    assert!(answer.body.len() <= 64 * 1024);
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
    assert_eq!(stand.zoo.visits()[0].header("accept-encoding"), "identity");
}

#[tokio::test]
async fn f38_a_redirect_is_not_followed_wherever_it_leads() {
    let stand = Stand::new();
    let inside = stand.zoo.url("/services/T0/B0/zoo");
    for to in ["http://169.254.169.254/latest/meta-data/", inside.as_str()] {
        stand.zoo.next(Mood::Redirect(to.to_owned()));
        let attempt = send(&stand.slack(), &message(page()), start(), None).await;
        assert_eq!(attempt.verdict, Verdict::Refused(Cause::Redirect(301)));
    }
    assert_eq!(stand.zoo.connections(), 2);
}

#[tokio::test]
async fn f29_an_answer_that_is_lost_makes_one_repetition_and_no_second_incident() {
    let stand = Stand::new();
    let sender = stand.pagerduty();
    stand.zoo.next(Mood::ResetHalfWay);
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert!(
        matches!(
            attempt.verdict,
            Verdict::Retry {
                cause: Cause::Lost(_),
                ..
            }
        ),
        "{attempt:?}"
    );
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert_eq!(attempt.verdict, Verdict::Delivered);
    assert_eq!(stand.zoo.incidents().len(), 1);
    assert_eq!(stand.zoo.incidents()[0].repeats, 1);
}

#[tokio::test]
async fn f30_a_receiver_that_asks_for_time_gets_it() {
    let stand = Stand::new();
    let sender = stand.slack();
    stand
        .zoo
        .next(Mood::Reply(Reply::text(429, "").with("Retry-After", "120")));
    let attempt = send(&sender, &message(page()), start(), None).await;
    let limited = |secs| Verdict::RateLimited {
        cause: Cause::Status(429),
        wait: Duration::from_secs(secs),
    };
    assert_eq!(attempt.verdict, limited(120));

    stand.zoo.next(Mood::Reply(Reply::text(429, "")));
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert_eq!(attempt.verdict, limited(60));

    let date = "Fri, 02 Jan 2026 03:12:00 GMT";
    stand
        .zoo
        .next(Mood::Reply(Reply::text(503, "").with("Retry-After", date)));
    let attempt = send(&sender, &message(page()), start(), None).await;
    let wait = Some(Duration::from_mins(2));
    assert_eq!(
        attempt.verdict,
        Verdict::Retry {
            cause: Cause::Status(503),
            wait
        }
    );
}

#[tokio::test]
async fn f31_a_proxy_page_is_not_a_receipt() {
    let stand = Stand::new();
    for sender in [
        stand.slack(),
        stand.dingtalk(),
        stand.feishu(),
        stand.wecom(),
        stand.pagerduty(),
    ] {
        stand
            .zoo
            .next(Mood::Reply(Reply::text(200, "<html>please log in</html>")));
        let attempt = send(&sender, &message(page()), start(), None).await;
        let not_the_vendor = Cause::NotTheVendor(200);
        assert_eq!(
            attempt.verdict,
            Verdict::Retry {
                cause: not_the_vendor,
                wait: None
            },
            "{sender:?}"
        );
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let stand = Stand::new();
    let sender = stand.slack();
    drop(stand);
    let attempt = send(&sender, &message(page()), start(), None).await;
    assert!(matches!(
        attempt.verdict,
        Verdict::Retry {
            cause: Cause::Unreachable(_),
            ..
        }
    ));
}
