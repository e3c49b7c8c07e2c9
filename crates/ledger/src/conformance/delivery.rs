//! Deliveries: none lost, none claimed twice, in order, and no end for what nobody heard of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::sample::at;
use crate::delivery::{
    Claim, Class, Deliveries, End, Filter, Leased, NewDelivery, Pace, Record, Replayed, Settlement, State,
};

/// As `conformance!`, for deliveries: `$open` is an `async fn() -> (Arc<dyn Deliveries>, T)`.
macro_rules! delivery_conformance {
    ($open:path: $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let (store, _alive) = $open().await;
                $crate::conformance::delivery::$rule(store).await;
            }
        )+
    };
    ($open:path) => {
        $crate::conformance::delivery_conformance!($open:
            a_delivery_is_claimed_as_it_was_written
            a_second_one_with_the_same_dedup_key_is_ignored
            what_is_not_due_or_for_somebody_else_is_left
            one_order_is_sent_one_after_the_other
            eight_workers_claim_each_delivery_once
            a_lease_that_ran_out_is_claimed_again_and_its_holder_settles_nothing
            what_was_released_counts_as_no_attempt
            a_retry_waits_and_keeps_why
            a_stale_pace_claims_nothing
            f32_a_trigger_that_was_not_sent_is_superseded_with_its_resolve
            f32_a_trigger_on_its_way_is_superseded_when_it_comes_back
            f32_a_trigger_that_may_be_there_is_followed_by_its_resolve
            the_fallback_gets_the_trigger_and_later_its_resolve
            a_fallback_does_not_wait_for_the_next_try
            a_fallback_called_late_gets_what_waits_behind_too
            a_resolve_knows_the_key_of_its_trigger
            a_dead_letter_is_replayed_behind_what_waits
            a_finished_notice_is_erased
            the_backlog_counts_what_waits_and_what_is_dead
            what_a_settlement_leads_to_is_written_once
        );
    };
}

pub(crate) use delivery_conformance;

type Store = Arc<dyn Deliveries>;

const LONG: Duration = Duration::from_mins(1);

/// A page that was due long ago.
pub(crate) fn page(receiver: &str, order_key: &str, dedup_key: &str) -> NewDelivery {
    NewDelivery {
        id: Uuid::now_v7(),
        receiver: receiver.to_owned(),
        order_key: order_key.to_owned(),
        dedup_key: dedup_key.to_owned(),
        class: Class::Page,
        ends: false,
        message: json!({"kind": "page", "what": "银行 ¼ \u{1f4b3}"}),
        created_at: Timestamp::UNIX_EPOCH,
        due_at: Timestamp::UNIX_EPOCH,
    }
}

fn resolve(receiver: &str, order_key: &str) -> NewDelivery {
    NewDelivery {
        ends: true,
        ..page(receiver, order_key, &format!("{order_key}:resolve"))
    }
}

/// Claims what there is for `receiver`, under a lease of that length.
async fn claim_for(store: &Store, receiver: &str, lease: Duration) -> (Uuid, Vec<Leased>) {
    let token = Uuid::now_v7();
    loop {
        let claim = Claim {
            receiver: receiver.to_owned(),
            token,
            limit: 100,
            lease,
            pace: store.pace(receiver).await.unwrap(),
        };
        if let Some(claimed) = store.claim(&claim).await.unwrap() {
            return (token, claimed.deliveries);
        }
    }
}

async fn claim(store: &Store, receiver: &str) -> (Uuid, Vec<Leased>) {
    claim_for(store, receiver, LONG).await
}

fn ids(leased: &[Leased]) -> Vec<Uuid> {
    leased.iter().map(|leased| leased.id).collect()
}

async fn settle(store: &Store, (token, leased): (Uuid, &[Leased]), end: End) -> usize {
    store
        .settle(&Settlement::of(token, ids(leased), end))
        .await
        .unwrap()
}

const fn again(uncertain: bool) -> End {
    End::Retry {
        wait: Duration::ZERO,
        uncertain,
    }
}

async fn all(store: &Store) -> Vec<Record> {
    let filter = Filter {
        limit: 1000,
        ..Filter::default()
    };
    let mut records = store.list(&filter).await.unwrap();
    records.reverse();
    records
}

async fn states(store: &Store, receiver: &str) -> Vec<State> {
    let all = all(store).await.into_iter();
    all.filter(|record| record.receiver == receiver)
        .map(|record| record.state)
        .collect()
}

pub(crate) async fn a_delivery_is_claimed_as_it_was_written(store: Store) {
    let new = page("chat", "al_1", "al_1:1");
    assert_eq!(store.enqueue(std::slice::from_ref(&new)).await.unwrap(), 1);
    let due = store.due(&["chat".to_owned(), "sms".to_owned()]).await.unwrap();
    let [waiting] = &*due.waiting else {
        panic!("{due:?}")
    };
    assert_eq!((&*waiting.receiver, waiting.count), ("chat", 1));
    let (_, leased) = claim(&store, "chat").await;
    let expected = Leased {
        id: new.id,
        order_key: new.order_key,
        dedup_key: new.dedup_key,
        class: Class::Page,
        ends: false,
        message: new.message,
        queued_at: new.created_at,
        attempt: 1,
        uncertain: false,
        credential: None,
        fallback_of: None,
    };
    assert_eq!(leased, [expected]);
    assert!(store.due(&["chat".to_owned()]).await.unwrap().waiting.is_empty());
}

pub(crate) async fn a_second_one_with_the_same_dedup_key_is_ignored(store: Store) {
    let (first, second) = (page("chat", "al_1", "k"), page("chat", "al_2", "k"));
    assert_eq!(store.enqueue(&[first.clone(), second]).await.unwrap(), 1);
    assert_eq!(store.enqueue(&[page("chat", "al_1", "k")]).await.unwrap(), 0);
    assert_eq!(store.enqueue(&[page("sms", "al_1", "k")]).await.unwrap(), 1);
    assert_eq!(ids(&claim(&store, "chat").await.1), [first.id]);
}

pub(crate) async fn what_is_not_due_or_for_somebody_else_is_left(store: Store) {
    let later = NewDelivery {
        due_at: store.clock().await.unwrap() + SignedDuration::from_hours(1),
        ..page("chat", "al_1", "k")
    };
    store.enqueue(&[later, page("sms", "al_2", "k")]).await.unwrap();
    assert!(store.due(&["chat".to_owned()]).await.unwrap().waiting.is_empty());
    assert!(claim(&store, "chat").await.1.is_empty());
    let [backlog, _] = store.backlogs().await.unwrap().try_into().unwrap();
    assert_eq!((backlog.waiting, backlog.oldest), (1, Duration::ZERO));
}

pub(crate) async fn one_order_is_sent_one_after_the_other(store: Store) {
    let order: Vec<_> = (0..3)
        .map(|number| page("chat", "al_1", &format!("{number}")))
        .collect();
    let other = page("chat", "al_2", "other");
    store.enqueue(&order).await.unwrap();
    store.enqueue(std::slice::from_ref(&other)).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    assert_eq!(ids(&leased), [order[0].id, other.id]);
    assert!(claim(&store, "chat").await.1.is_empty());
    settle(&store, (token, &leased[..1]), again(false)).await;
    let (token, leased) = claim(&store, "chat").await;
    assert_eq!(ids(&leased), [order[0].id]);
    settle(&store, (token, &leased), End::Done).await;
    let (token, leased) = claim(&store, "chat").await;
    assert_eq!(ids(&leased), [order[1].id]);
    settle(&store, (token, &leased), End::Dead { uncertain: false }).await;
    assert_eq!(ids(&claim(&store, "chat").await.1), [order[2].id]);
}

pub(crate) async fn eight_workers_claim_each_delivery_once(store: Store) {
    const ORDERS: usize = 30;
    let news: Vec<_> = (0..ORDERS * 3)
        .map(|number| page("chat", &format!("al_{}", number % ORDERS), &format!("{number}")))
        .collect();
    store.enqueue(&news).await.unwrap();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        workers.spawn(async move {
            let mut sent = Vec::new();
            while store
                .backlogs()
                .await
                .unwrap()
                .iter()
                .any(|backlog| backlog.waiting > 0)
            {
                let (token, leased) = claim(&store, "chat").await;
                sent.extend(ids(&leased));
                settle(&store, (token, &leased), End::Done).await;
                tokio::task::yield_now().await;
            }
            sent
        });
    }
    let sent: Vec<Uuid> = workers.join_all().await.concat();
    let distinct: BTreeSet<_> = sent.iter().copied().collect();
    assert_eq!((sent.len(), distinct.len()), (ORDERS * 3, ORDERS * 3));
    assert!(
        states(&store, "chat")
            .await
            .iter()
            .all(|state| *state == State::Done)
    );
}

pub(crate) async fn a_lease_that_ran_out_is_claimed_again_and_its_holder_settles_nothing(store: Store) {
    store.enqueue(&[page("chat", "al_1", "k")]).await.unwrap();
    let (slow, held) = claim_for(&store, "chat", Duration::ZERO).await;
    let (token, leased) = claim(&store, "chat").await;
    assert_eq!(
        (ids(&leased), leased[0].attempt, leased[0].uncertain),
        (ids(&held), 2, true)
    );
    assert_eq!(settle(&store, (slow, &held), again(false)).await, 0);
    assert_eq!(states(&store, "chat").await, [State::Leased]);
    assert_eq!(settle(&store, (token, &leased), End::Done).await, 1);
    assert_eq!(settle(&store, (token, &leased), again(false)).await, 0);
}

pub(crate) async fn what_was_released_counts_as_no_attempt(store: Store) {
    store.enqueue(&[page("chat", "al_1", "k")]).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    settle(&store, (token, &leased), End::Released).await;
    let (_, leased) = claim(&store, "chat").await;
    assert_eq!((leased[0].attempt, leased[0].uncertain), (1, false));
}

pub(crate) async fn a_retry_waits_and_keeps_why(store: Store) {
    store.enqueue(&[page("chat", "al_1", "k")]).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    let end = End::Retry {
        wait: LONG,
        uncertain: false,
    };
    let settlement = Settlement {
        status: Some(429),
        error: Some("slow\0down".to_owned()),
        ..Settlement::of(token, ids(&leased), end)
    };
    store.settle(&settlement).await.unwrap();
    assert!(claim(&store, "chat").await.1.is_empty());
    let [record] = all(&store).await.try_into().unwrap();
    assert_eq!(
        (record.state, record.attempts, record.last_status),
        (State::Ready, 1, Some(429))
    );
    assert!(record.last_error.unwrap().starts_with("slow"));
    let wait = record.due_at.duration_since(store.clock().await.unwrap());
    assert!(
        wait > SignedDuration::from_secs(30) && wait <= SignedDuration::from_secs(60),
        "{wait}"
    );
}

pub(crate) async fn a_stale_pace_claims_nothing(store: Store) {
    store.enqueue(&[page("chat", "al_1", "k")]).await.unwrap();
    let first = Pace {
        version: 0,
        content: "[1]".to_owned(),
    };
    assert!(store.set_pace("chat", &first).await.unwrap());
    assert!(!store.set_pace("chat", &first).await.unwrap());
    let present = store.pace("chat").await.unwrap();
    assert_eq!((present.version, &*present.content), (1, "[1]"));
    let claim = |pace: &Pace| Claim {
        receiver: "chat".to_owned(),
        token: Uuid::now_v7(),
        limit: 9,
        lease: LONG,
        pace: pace.clone(),
    };
    assert_eq!(store.claim(&claim(&first)).await.unwrap(), None);
    let claimed = store.claim(&claim(&present)).await.unwrap().unwrap();
    assert_eq!(claimed.deliveries.len(), 1);
    assert_eq!(store.pace("chat").await.unwrap().version, 2);
}

pub(crate) async fn f32_a_trigger_that_was_not_sent_is_superseded_with_its_resolve(store: Store) {
    store
        .enqueue(&[page("chat", "al_1", "trigger"), page("chat", "al_2", "other")])
        .await
        .unwrap();
    let (token, leased) = claim(&store, "chat").await;
    settle(&store, (token, &leased), again(false)).await;
    store.enqueue(&[resolve("chat", "al_1")]).await.unwrap();
    assert_eq!(
        states(&store, "chat").await,
        [State::Superseded, State::Ready, State::Superseded]
    );
    let next = [page("chat", "al_1", "second trigger"), resolve("chat", "al_1")];
    store.enqueue(&next[..1]).await.unwrap();
    assert_eq!(claim(&store, "chat").await.1.len(), 2);
}

pub(crate) async fn f32_a_trigger_on_its_way_is_superseded_when_it_comes_back(store: Store) {
    store.enqueue(&[page("chat", "al_1", "trigger")]).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    store.enqueue(&[resolve("chat", "al_1")]).await.unwrap();
    assert_eq!(states(&store, "chat").await, [State::Leased, State::Ready]);
    settle(&store, (token, &leased), again(false)).await;
    assert_eq!(states(&store, "chat").await, [State::Superseded; 2]);
}

pub(crate) async fn f32_a_trigger_that_may_be_there_is_followed_by_its_resolve(store: Store) {
    let (trigger, end) = (page("chat", "al_1", "trigger"), resolve("chat", "al_1"));
    store.enqueue(std::slice::from_ref(&trigger)).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    settle(&store, (token, &leased), again(true)).await;
    store.enqueue(std::slice::from_ref(&end)).await.unwrap();
    for expected in [trigger.id, end.id] {
        let (token, leased) = claim(&store, "chat").await;
        assert_eq!(ids(&leased), [expected]);
        settle(&store, (token, &leased), End::Done).await;
    }
}

/// Sends the trigger of `al_1` to `chat`, which fails `end`, so that `sms` is to be told.
async fn fall_back(store: &Store, end: End) {
    let (token, leased) = claim(store, "chat").await;
    let settlement = Settlement {
        fallback: Some("sms".to_owned()),
        ..Settlement::of(token, ids(&leased), end)
    };
    assert_eq!(store.settle(&settlement).await.unwrap(), 1);
}

pub(crate) async fn the_fallback_gets_the_trigger_and_later_its_resolve(store: Store) {
    let trigger = page("chat", "al_1", "trigger");
    store.enqueue(std::slice::from_ref(&trigger)).await.unwrap();
    fall_back(&store, End::Dead { uncertain: false }).await;
    let (token, leased) = claim(&store, "sms").await;
    assert_eq!(leased[0].fallback_of, Some(trigger.id));
    assert_ne!(leased[0].id, trigger.id);
    settle(&store, (token, &leased), End::Done).await;
    store.enqueue(&[resolve("chat", "al_1")]).await.unwrap();
    let (_, leased) = claim(&store, "sms").await;
    assert!(leased[0].ends);
    // Nobody at the first receiver heard of it.
    assert_eq!(states(&store, "chat").await, [State::Dead, State::Superseded]);
}

pub(crate) async fn a_fallback_called_late_gets_what_waits_behind_too(store: Store) {
    store.enqueue(&[page("chat", "al_1", "trigger")]).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    store.enqueue(&[resolve("chat", "al_1")]).await.unwrap();
    settle(&store, (token, &leased), again(true)).await;
    fall_back(&store, again(true)).await;
    fall_back(&store, again(true)).await;
    // Neither was told, so neither needs to be.
    assert_eq!(states(&store, "sms").await, [State::Superseded; 2]);
    let (token, leased) = claim(&store, "chat").await;
    settle(&store, (token, &leased), End::Done).await;
    let (token, leased) = claim(&store, "chat").await;
    assert!(leased[0].ends);
    settle(&store, (token, &leased), End::Done).await;
}

pub(crate) async fn a_resolve_knows_the_key_of_its_trigger(store: Store) {
    store
        .enqueue(&[page("duty", "al_1", "trigger"), page("duty", "al_2", "other")])
        .await
        .unwrap();
    let (token, leased) = claim(&store, "duty").await;
    let settlement = Settlement {
        credential: Some("key one".to_owned()),
        ..Settlement::of(token, vec![leased[0].id], End::Done)
    };
    store.settle(&settlement).await.unwrap();
    settle(&store, (token, &leased[1..]), End::Done).await;
    store
        .enqueue(&[resolve("duty", "al_1"), resolve("duty", "al_2")])
        .await
        .unwrap();
    let (_, leased) = claim(&store, "duty").await;
    let credentials: Vec<_> = leased.iter().map(|leased| leased.credential.as_deref()).collect();
    assert_eq!(credentials, [Some("key one"), None]);
}

pub(crate) async fn a_dead_letter_is_replayed_behind_what_waits(store: Store) {
    let (first, second) = (page("chat", "al_1", "1"), page("chat", "al_1", "2"));
    store.enqueue(&[first.clone(), second.clone()]).await.unwrap();
    assert_eq!(
        store.replay(first.id).await.unwrap(),
        Replayed::NotDead(State::Ready)
    );
    assert_eq!(store.replay(Uuid::nil()).await.unwrap(), Replayed::Unknown);
    let (token, leased) = claim(&store, "chat").await;
    settle(&store, (token, &leased), End::Dead { uncertain: false }).await;
    assert_eq!(store.replay(first.id).await.unwrap(), Replayed::Ready);
    for expected in [second.id, first.id] {
        let (token, leased) = claim(&store, "chat").await;
        assert_eq!((ids(&leased), leased[0].attempt), (vec![expected], 1));
        settle(&store, (token, &leased), End::Done).await;
    }
}

pub(crate) async fn a_finished_notice_is_erased(store: Store) {
    let notice = |dedup_key: &str| NewDelivery {
        class: Class::Notice,
        message: json!({"to": "13800000000"}),
        ..page("sms", dedup_key, dedup_key)
    };
    let (told, given_up) = (notice("1"), notice("2"));
    store.enqueue(&[told.clone(), given_up.clone()]).await.unwrap();
    let (token, leased) = claim(&store, "sms").await;
    assert_eq!(leased[0].message["to"], "13800000000");
    settle(&store, (token, &leased[..1]), End::Done).await;
    settle(&store, (token, &leased[1..]), End::Dead { uncertain: false }).await;
    assert_eq!(store.replay(given_up.id).await.unwrap(), Replayed::Erased);
    assert_eq!(store.enqueue(&[notice("1")]).await.unwrap(), 0, "told once");
}

pub(crate) async fn the_backlog_counts_what_waits_and_what_is_dead(store: Store) {
    let now = store.clock().await.unwrap();
    let old = NewDelivery {
        created_at: now - SignedDuration::from_secs(90),
        due_at: at(0),
        ..page("chat", "al_1", "1")
    };
    store
        .enqueue(&[old, page("sms", "al_1", "2"), page("sms", "al_2", "3")])
        .await
        .unwrap();
    let (token, leased) = claim(&store, "sms").await;
    settle(&store, (token, &leased[..1]), End::Done).await;
    settle(&store, (token, &leased[1..]), End::Dead { uncertain: false }).await;
    let [chat, sms] = store.backlogs().await.unwrap().try_into().unwrap();
    assert_eq!((&*chat.receiver, chat.waiting, chat.dead), ("chat", 1, 0));
    assert_eq!((sms.waiting, sms.dead, sms.oldest), (0, 1, Duration::ZERO));
    assert_eq!(store.forget_finished().await.unwrap(), 0);
}

pub(crate) async fn what_a_settlement_leads_to_is_written_once(store: Store) {
    store.enqueue(&[page("chat", "al_1", "1")]).await.unwrap();
    let (token, leased) = claim(&store, "chat").await;
    let settlement = Settlement {
        also: vec![page("sms", "broken", "broken")],
        ..Settlement::of(token, ids(&leased), End::Dead { uncertain: false })
    };
    assert_eq!(store.settle(&settlement).await.unwrap(), 1);
    assert_eq!(store.settle(&settlement).await.unwrap(), 0);
    assert_eq!(states(&store, "sms").await, [State::Ready]);
    // A worker that lost its lease leads to nothing.
    let late = Settlement {
        also: vec![page("sms", "late", "late")],
        ..settlement
    };
    store.settle(&late).await.unwrap();
    assert_eq!(states(&store, "sms").await, [State::Ready]);
}

pub(crate) async fn a_fallback_does_not_wait_for_the_next_try(store: Store) {
    store.enqueue(&[page("chat", "al_1", "1")]).await.unwrap();
    fall_back(
        &store,
        End::Retry {
            wait: LONG,
            uncertain: false,
        },
    )
    .await;
    assert_eq!(claim(&store, "sms").await.1.len(), 1);
}
