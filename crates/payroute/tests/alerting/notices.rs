//! Customer notices that nobody wants any more when it is their turn.

use std::collections::BTreeMap;

use delivery::message::{Message, Notice, Recipient};
use jiff::{SignedDuration, Timestamp};
use ledger::delivery::{Class, State};
use ledger::{Deliveries as _, NewDelivery};
use uuid::Uuid;

use crate::support::{House, eventually};

const RECEIVERS: &str = "receivers:
  - {name: texts, to: {aliyun_sms: {url: ZOO/, access_key_id: zoo-access, access_key_secret: zoo-access-secret, sign_name: shop}}}
";

fn notice(event: &str, now: Timestamp, not_after: Timestamp) -> NewDelivery {
    let message = Message::Notice(Notice {
        to: Recipient::new("13800138000"),
        template: format!("SMS_{event}"),
        parameters: BTreeMap::new(),
        link: None,
        not_after: Some(not_after),
    });
    NewDelivery {
        id: Uuid::now_v7(),
        receiver: "texts".to_owned(),
        order_key: "notice shop ord_1".to_owned(),
        dedup_key: format!("notice shop ord_1 {event}"),
        class: Class::Notice,
        ends: false,
        message: serde_json::to_value(message).unwrap(),
        created_at: now,
        due_at: now,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_waited_too_long_is_not_sent_and_holds_nobody_up() {
    let house = House::open(RECEIVERS).await;
    let now = house.ledger.clock().await.unwrap();
    let hour = SignedDuration::from_hours(1);
    let late = notice("late", now - hour - hour, now - hour);
    house.enqueue(&[late, notice("fresh", now, now + hour)]).await;
    let _alerter = house.alerter();
    let deliveries = eventually("both to be finished", async || {
        let deliveries = house.deliveries().await;
        let over = |state| matches!(state, State::Done | State::Superseded);
        deliveries.iter().all(|one| over(one.state)).then_some(deliveries)
    })
    .await;
    let [late, fresh] = deliveries.try_into().unwrap();
    assert_eq!((late.state, late.attempts), (State::Superseded, 0));
    assert_eq!(late.last_error.as_deref(), Some("it was too late to tell of it"));
    assert_eq!(fresh.state, State::Done);
    let visits = house.zoo.visits();
    let sent: Vec<_> = visits
        .iter()
        .filter_map(|visit| visit.parameter("TemplateCode"))
        .collect();
    assert_eq!(sent, ["SMS_fresh"]);
    let erased = house.sql("select count(*) from delivery where message is null");
    assert_eq!(erased.trim(), "2");
}
