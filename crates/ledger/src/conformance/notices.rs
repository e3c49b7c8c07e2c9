//! Rules on customer notices: there when what they tell of is, and once.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::sample;
use crate::delivery::{
    Claim, Class, Deliveries, End, Filter, NewDelivery, Pace, Replayed, Settlement, State,
};
use crate::port::{Batch, Ledger};

fn notice(number: u128, event: &str) -> NewDelivery {
    NewDelivery {
        id: Uuid::from_u128(number),
        receiver: "texts".to_owned(),
        order_key: "notice shop a".to_owned(),
        dedup_key: format!("notice shop a {event}"),
        class: Class::Notice,
        ends: false,
        message: json!({ "to": "13800138000" }),
        created_at: sample::at(1),
        due_at: sample::at(1),
    }
}

/// A notice that is not sent any more is erased, says why, and was not tried.
pub(crate) async fn a_notice_that_became_pointless_is_erased<L: Ledger + Deliveries>(ledger: &L) {
    ledger.enqueue(&[notice(1, "failed")]).await.unwrap();
    let claim = Claim {
        receiver: "texts".to_owned(),
        token: Uuid::from_u128(7),
        limit: 1,
        lease: Duration::from_secs(30),
        pace: Pace::default(),
    };
    let claimed = ledger.claim(&claim).await.unwrap().unwrap();
    assert_eq!(claimed.deliveries.len(), 1);
    let settlement = Settlement {
        error: Some("too late".to_owned()),
        ..Settlement::of(claim.token, vec![Uuid::from_u128(1)], End::Superseded)
    };
    assert_eq!(ledger.settle(&settlement).await.unwrap(), 1);
    let filter = Filter {
        limit: 10,
        ..Filter::default()
    };
    let [kept] = ledger.list(&filter).await.unwrap().try_into().unwrap();
    assert_eq!((kept.state, kept.attempts), (State::Superseded, 0));
    assert_eq!(kept.last_error.as_deref(), Some("too late"));
    assert!(kept.finished_at.is_some());
    assert_eq!(
        ledger.replay(kept.id).await.unwrap(),
        Replayed::NotDead(State::Superseded)
    );
}

/// A notice is kept with a new attempt and with a change that was made, not with a repetition or a change that was not
/// made, and one of the same payment and event once.
pub(crate) async fn a_notice_is_there_once_with_what_it_tells_of<L: Ledger + Deliveries>(ledger: &L) {
    let told = async || {
        let filter = Filter {
            limit: 10,
            ..Filter::default()
        };
        let mut kept = ledger.list(&filter).await.unwrap();
        kept.sort_by_key(|record| record.id);
        kept.iter().map(|record| record.id.as_u128()).collect::<Vec<_>>()
    };
    let commit = async |attempts, resolutions| {
        let batch = Batch {
            attempts,
            resolutions,
            ..Batch::default()
        };
        ledger.commit(&batch).await.unwrap();
    };
    let mut first = sample::attempt("a");
    first.verdict.state = "unknown".to_owned();
    first.notices = vec![notice(1, "confirming")];
    commit(vec![first.clone()], Vec::new()).await;
    assert_eq!(told().await, [1]);
    first.notices = vec![notice(2, "failed")];
    commit(vec![first], Vec::new()).await;
    assert_eq!(told().await, [1], "a repeated report tells nothing");
    let mut stale = sample::resolution("a", "declined", "late_success");
    stale.notices = vec![notice(3, "settled_paid")];
    let mut applied = sample::resolution("a", "unknown", "succeeded");
    applied.notices = vec![notice(4, "settled_paid")];
    commit(Vec::new(), vec![stale, applied]).await;
    assert_eq!(told().await, [1, 4]);
    let mut second = sample::attempt("b");
    second.notices = vec![notice(5, "settled_paid")];
    commit(vec![second.clone()], Vec::new()).await;
    assert_eq!(told().await, [1, 4], "of one event a customer is told once");
    assert!(
        !format!("{second:?}").contains("138"),
        "nobody's number is printed"
    );
}
