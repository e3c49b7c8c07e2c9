//! The address guard at work: nothing reaches what it refuses.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use payroute_delivery::exchange::{Exchange, ExchangeError};
use payroute_delivery::guard::{self, Forbidden, Guard};
use payroute_delivery::resolve::{Resolve, Resolving};
use payroute_delivery::tls::Tls;
use payroute_delivery::wire::Request;
use serde_json::json;

use crate::stand::Stand;

/// Answers each look-up with the next of these, and the last one for ever after.
#[derive(Debug)]
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self {
            answers: answers.iter().map(parse).collect(),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.get(asked).or(self.answers.last()).cloned();
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

fn closed(stand: &Stand, resolver: Arc<Scripted>) -> Exchange {
    let guard = Guard::new(guard::Settings {
        allow_networks: Vec::new(),
        allow_ports: vec![stand.zoo.address().port()],
        allow_http: true,
    });
    Exchange::new(guard, Tls::new(None).unwrap()).with_resolver(resolver)
}

fn request(stand: &Stand, host: &str) -> Request {
    let url = format!("http://{host}:{}/hook", stand.zoo.address().port());
    Request::json(url.parse().unwrap(), &json!({}))
}

#[tokio::test]
async fn f38_a_name_of_an_inside_address_is_refused_and_nothing_is_sent() {
    let stand = Stand::new();
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "::1",
        "169.254.169.254",
        "10.0.0.1",
        "64:ff9b::7f00:1",
    ] {
        let exchange = closed(&stand, Scripted::new(&[&[address]]));
        let error = exchange
            .run(request(&stand, "receiver.example"))
            .await
            .unwrap_err();
        let address: IpAddr = address.parse().unwrap();
        assert!(
            matches!(error, ExchangeError::Forbidden(Forbidden::Address(found)) if found == address),
            "{address}: {error}"
        );
    }
    assert_eq!(stand.zoo.connections(), 0);
}

#[tokio::test]
async fn f38_every_way_to_write_the_inside_address_is_refused() {
    let stand = Stand::new();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
    ] {
        let exchange = closed(&stand, Scripted::new(&[]));
        let error = exchange.run(request(&stand, host)).await.unwrap_err();
        assert!(
            matches!(error, ExchangeError::Forbidden(Forbidden::Address(_))),
            "{host}: {error}"
        );
    }
    assert_eq!(stand.zoo.connections(), 0);
}

#[tokio::test]
async fn f38_the_name_is_looked_up_once_so_that_it_cannot_change_in_between() {
    let stand = Stand::new();
    // What is checked is what is connected to: the first answer, which leads to the zoo, never the second.
    let resolver = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let exchange = stand
        .exchange()
        .with_resolver(Arc::clone(&resolver) as Arc<dyn Resolve>);
    let answer = exchange.run(request(&stand, "receiver.example")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 401);
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    let host = format!("receiver.example:{}", stand.zoo.address().port());
    assert_eq!(stand.zoo.visits()[0].header("host"), host);
}

#[tokio::test]
async fn f38_of_many_addresses_only_those_that_pass_are_tried() {
    let stand = Stand::new();
    let resolver = Scripted::new(&[&["169.254.169.254", "10.0.0.1", "127.0.0.1"]]);
    let exchange = stand.exchange().with_resolver(resolver);
    // The stand opens 127.0.0.1 and nothing else; a try of the others would run into the deadline.
    let answer = exchange.run(request(&stand, "receiver.example")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 401);
}

#[tokio::test]
async fn a_name_without_an_address_is_no_panic() {
    let stand = Stand::new();
    let exchange = closed(&stand, Scripted::new(&[]));
    let error = exchange
        .run(request(&stand, "receiver.example"))
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Unresolved(_)), "{error}");
}
