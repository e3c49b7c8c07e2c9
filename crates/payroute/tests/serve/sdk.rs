//! The SDK in front of a real service: one that dies, one that is not there, and one behind a slow network.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::{Client, ClientBuilder, Conclusion, PayError, Payment, Submit, Submitted};
use proto::v1;
use rig::proxy::{Proxy, Trouble};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::Server;

/// The budget from a failure to the start of the next submit.
const BUDGET: Duration = Duration::from_millis(500);

fn builder(routers: &[String]) -> ClientBuilder {
    Client::builder().routers(routers)
}

fn payment(name: &str) -> Payment {
    let payment = Payment::of("shop", name)
        .amount(1_999, "CNY")
        .method("wechat_pay");
    payment.country("CN").build().unwrap()
}

/// A shop whose first submit of a payment meets a channel that is closed, and whose further ones go through.
fn second_time_lucky() -> impl Fn(Submit) -> std::future::Ready<Submitted> + Send + Sync + 'static {
    let submits = AtomicUsize::new(0);
    move |_| {
        std::future::ready(if submits.fetch_add(1, Ordering::SeqCst) == 0 {
            Submitted::failed("CHANNEL_MAINTENANCE").provider("payroute")
        } else {
            Submitted::succeeded()
        })
    }
}

/// The states of the attempts at a payment, oldest first.
async fn states(server: &Server, payment_id: &str) -> Vec<String> {
    let request = v1::GetPaymentRequest {
        merchant_id: "shop".to_owned(),
        payment_id: payment_id.to_owned(),
    };
    let payment = server
        .routing()
        .await
        .get_payment(request)
        .await
        .unwrap()
        .into_inner();
    payment
        .attempts
        .into_iter()
        .map(|attempt| attempt.state)
        .collect()
}

/// What starts another server at the addresses of this one.
fn again(server: &Server) -> [String; 4] {
    [
        "--listen-grpc".to_owned(),
        server.grpc.to_string(),
        "--listen-admin".to_owned(),
        server.admin.to_string(),
    ]
}

fn restart(data: &Path, flags: &[String]) -> Server {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Server::start_with(data, &flags)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_go_on_while_the_router_is_killed_and_started_again() {
    const PAYMENTS: usize = 60;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let flags = again(&server);
    // The first of the two is a router that is gone for good: port 1 is nobody's.
    let routers = ["127.0.0.1:1".to_owned(), server.grpc.to_string()];
    let payroute = builder(&routers)
        .route_within(Duration::from_secs(30))
        .build()
        .unwrap();
    let paid = Arc::new(AtomicUsize::new(0));
    let till = Arc::new(Semaphore::new(6));
    let mut shoppers = JoinSet::new();
    for number in 0..PAYMENTS {
        let (payroute, paid, till) = (payroute.clone(), Arc::clone(&paid), Arc::clone(&till));
        shoppers.spawn(async move {
            let _place = till.acquire_owned().await.unwrap();
            let submit = |_: Submit| async {
                tokio::time::sleep(Duration::from_millis(30)).await;
                Submitted::succeeded()
            };
            let conclusion = payroute.pay(&payment(&format!("ord_{number}")), submit).await;
            assert!(conclusion.unwrap().is_paid());
            paid.fetch_add(1, Ordering::SeqCst);
        });
    }
    while paid.load(Ordering::SeqCst) < PAYMENTS / 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.kill();
    let server = restart(data.path(), &flags);
    while let Some(shopper) = shoppers.join_next().await {
        shopper.unwrap();
    }
    assert_eq!(payroute.close(Duration::from_secs(20)).await, 0);
    for number in 0..PAYMENTS {
        assert_eq!(
            states(&server, &format!("ord_{number}")).await,
            ["succeeded"],
            "ord_{number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_router_the_last_decision_serves_and_a_crashed_caller_delivers_later() {
    let data = tempfile::tempdir().unwrap();
    let journal = data.path().join("outcomes");
    let server = Server::start(data.path());
    let flags = again(&server);
    let routers = [server.grpc.to_string()];
    let payroute = builder(&routers).journal(&journal).build().unwrap();
    let server = std::sync::Mutex::new(Some(server));
    let submits = AtomicUsize::new(0);
    let channels = Arc::new(parking_lot::Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&channels);
    let shop = move |submit: Submit| {
        seen.lock().insert(submit.channel_id);
        // The router dies while the first channel is asked.
        drop(server.lock().unwrap().take());
        std::future::ready(if submits.fetch_add(1, Ordering::SeqCst) == 0 {
            Submitted::failed("CHANNEL_MAINTENANCE").provider("payroute")
        } else {
            Submitted::succeeded()
        })
    };
    let conclusion = payroute.pay(&payment("ord_1"), shop).await.unwrap();
    assert!(conclusion.is_paid(), "{conclusion:?}");
    let failover = conclusion.tried()[1].failover.unwrap();
    assert!(failover <= BUDGET, "{failover:?}");
    assert_eq!(channels.lock().len(), 2, "another channel was taken");
    assert_eq!(payroute.undelivered(), 2);

    let nobody = payroute
        .pay(&payment("ord_2"), |_: Submit| async { Submitted::succeeded() })
        .await;
    assert!(matches!(nobody, Err(PayError::Unanswered(_))), "{nobody:?}");
    // As after a crash: what is not delivered by now is left to the next client.
    assert_eq!(payroute.close(Duration::ZERO).await, 2);
    drop(payroute);

    let server = restart(data.path(), &flags);
    let payroute = builder(&routers).journal(&journal).build().unwrap();
    assert_eq!(payroute.close(Duration::from_secs(20)).await, 0);
    assert_eq!(
        states(&server, "ord_1").await,
        ["failed_not_processed", "succeeded"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_router_costs_neither_the_budget_nor_the_payment() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let proxy = Proxy::start(server.grpc.port()).unwrap();
    let slow = format!("127.0.0.1:{}", proxy.port());
    let both = [slow.clone(), server.grpc.to_string()];
    for (name, routers, routed_again) in [("alone", &[slow][..], false), ("with_another", &both[..], true)] {
        // The budget is of real time, which another program may have used up. Then the payment ends without a second
        // submit, as it must, and is played again.
        let mut tries = (1..=20).map(|number| format!("{name}_{number}"));
        loop {
            let order = tries.next().expect("the budget is kept in one of twenty");
            let conclusion = pay_while_it_slows(&proxy, routers, &order).await;
            if matches!(conclusion, Conclusion::NotPaid(_)) && conclusion.tried().len() == 1 {
                continue;
            }
            assert!(
                matches!(conclusion, Conclusion::Paid(_)),
                "{order}: {conclusion:?}"
            );
            let second = &conclusion.tried()[1];
            assert!(second.failover.unwrap() <= BUDGET, "{order}: {second:?}");
            assert_eq!(
                second.submit.attempt_no,
                if routed_again { 2 } else { 1 },
                "{order}"
            );
            assert_eq!(
                states(&server, &order).await,
                ["failed_not_processed", "succeeded"],
                "{order}"
            );
            break;
        }
    }
}

/// Pays `order` at a shop whose first submit fails, while the way to the first of `routers` becomes slow. When it
/// answers, all is reported.
async fn pay_while_it_slows(proxy: &Proxy, routers: &[String], order: &str) -> Conclusion {
    proxy.set(Trouble::None);
    let payroute = builder(routers).build().unwrap();
    // Connections are warm, as those of a shop are.
    for warm in 0..4 {
        let warm = payment(&format!("warm_{order}_{warm}"));
        let paid = payroute
            .pay(&warm, |_: Submit| async { Submitted::succeeded() })
            .await;
        assert!(paid.unwrap().is_paid());
    }
    let lucky = second_time_lucky();
    let (begins, under_way) = tokio::sync::oneshot::channel();
    let begins = parking_lot::Mutex::new(Some(begins));
    let shop = move |submit: Submit| {
        if let Some(begins) = begins.lock().take() {
            begins.send(()).unwrap();
        }
        let answer = lucky(submit);
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer.await
        }
    };
    let payment = payment(order);
    let slowing = async {
        under_way.await.unwrap();
        proxy.set(Trouble::Delay(Duration::from_millis(1_500)));
    };
    let (conclusion, ()) = tokio::join!(payroute.pay(&payment, shop), slowing);
    proxy.set(Trouble::None);
    assert_eq!(payroute.close(Duration::from_secs(20)).await, 0, "{order}");
    conclusion.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_double_click_with_a_guard_is_one_submit_and_paid_for_both() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let payroute = builder(&[server.grpc.to_string()]).build().unwrap();
    let payment = Payment::of("shop", "ord_1")
        .amount(1_999, "CNY")
        .method("wechat_pay");
    let payment = payment.country("CN").guard(true).build().unwrap();
    let submits = Arc::new(AtomicUsize::new(0));
    let click = || {
        let submits = Arc::clone(&submits);
        payroute.pay(&payment, move |_: Submit| {
            submits.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Submitted::succeeded()
            }
        })
    };
    let (first, second) = tokio::join!(click(), click());
    for conclusion in [first, second] {
        let conclusion = match conclusion.unwrap() {
            Conclusion::Confirming(confirming) => confirming.settled().await.unwrap(),
            conclusion => conclusion,
        };
        assert!(conclusion.is_paid(), "{conclusion:?}");
    }
    assert_eq!(submits.load(Ordering::SeqCst), 1);
    assert_eq!(payroute.close(Duration::from_secs(10)).await, 0);
    assert_eq!(states(&server, "ord_1").await, ["succeeded"]);
}
