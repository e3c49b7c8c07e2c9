//! When another attempt may be made: the rule as a table, each condition and each exception a row of it.

use jiff::{SignedDuration, Timestamp};
use proto::{time, v1};

use crate::shop::{Desk, failure, report, request};

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
enum Became {
    /// The channel answered with this code.
    Failed(&'static str),
    /// The same, and so did its retry.
    Retried(&'static str),
    /// There was no answer; the customer holds what can be paid, or does not.
    Lost { delivered: bool },
    /// There was none, and a query said this.
    Queried(v1::Resolution),
    /// The customer was handed something to pay.
    Awaiting,
    /// It was paid.
    Paid,
}

/// One row: what was tried, what is asked, and what Route says to it.
struct Row {
    name: &'static str,
    tried: &'static [Became],
    asks: fn(&mut v1::RouteRequest),
    /// What the last report said to do.
    advised: v1::NextAction,
    answer: (v1::Action, &'static str),
}

const SUBMIT: (v1::Action, &str) = (v1::Action::Submit, "");
const WAIT: (v1::Action, &str) = (v1::Action::WaitAndQuery, "unsettled");
const BUSY: Became = Became::Failed("SYSTEM_BUSY");
const LOST: Became = Became::Lost { delivered: true };

/// The time at which the shop opens.
const NOON: &str = "2026-03-02T12:00:00Z";

fn plain(_: &mut v1::RouteRequest) {}

fn until_noon(request: &mut v1::RouteRequest) {
    request.order_expires_at = Some(time::to_wire(NOON.parse().unwrap()));
}

fn prepares(request: &mut v1::RouteRequest) {
    request.stage = v1::Stage::Prepare.into();
}

fn holds(request: &mut v1::RouteRequest) {
    request.operation = v1::Operation::Authorize.into();
}

fn row(
    name: &'static str,
    tried: &'static [Became],
    asks: fn(&mut v1::RouteRequest),
    advised: v1::NextAction,
    answer: (v1::Action, &'static str),
) -> Row {
    Row {
        name,
        tried,
        asks,
        advised,
        answer,
    }
}

/// 1: every earlier attempt is settled without a debit, and the payment wants money.
fn settled_and_open() -> Vec<Row> {
    use v1::NextAction::{None as Nothing, QueryFirst, Switch};
    let stop = |because| (v1::Action::Stop, because);
    vec![
        row("1 settled", &[BUSY], plain, Switch, SUBMIT),
        row("1 unknown", &[LOST], plain, QueryFirst, WAIT),
        row("1 unknown after another", &[BUSY, LOST], plain, QueryFirst, WAIT),
        row("1 at the customer", &[Became::Awaiting], plain, QueryFirst, WAIT),
        row("1 paid", &[Became::Paid], plain, Nothing, stop("paid")),
        row(
            "1 paid after another",
            &[BUSY, Became::Paid],
            plain,
            Nothing,
            stop("paid"),
        ),
        row(
            "1 past its deadline",
            &[BUSY],
            until_noon,
            v1::NextAction::Stop,
            stop("order_over"),
        ),
        row(
            "1 past its deadline and unknown",
            &[LOST],
            until_noon,
            QueryFirst,
            WAIT,
        ),
        row(
            "1 past its deadline and paid",
            &[Became::Paid],
            until_noon,
            Nothing,
            stop("paid"),
        ),
        row(
            "1 found out to be free",
            &[Became::Queried(v1::Resolution::NotProcessed)],
            plain,
            Switch,
            SUBMIT,
        ),
    ]
}

/// 2 to 5: the advice, the credential, the number of attempts, and the channel that comes next.
fn worth_another() -> Vec<Row> {
    use v1::NextAction::{AskCustomer, Switch};
    let stop = |because| (v1::Action::Stop, because);
    vec![
        row(
            "2 its one retry used",
            &[Became::Retried("RATE_LIMITED")],
            plain,
            Switch,
            SUBMIT,
        ),
        row(
            "3 never this card",
            &[Became::Failed("LOST_OR_STOLEN")],
            plain,
            v1::NextAction::Stop,
            stop("forbidden"),
        ),
        row(
            "3 risk",
            &[Became::Failed("RISK_DECLINED")],
            plain,
            v1::NextAction::Stop,
            stop("forbidden"),
        ),
        row("4 the second of three", &[BUSY, BUSY], plain, Switch, SUBMIT),
        row(
            "4 after the third",
            &[BUSY, BUSY, BUSY],
            plain,
            AskCustomer,
            stop("too_many"),
        ),
        row(
            "5 the credential goes nowhere else",
            &[BUSY],
            |request| request.portable_to = vec!["a".to_owned()],
            AskCustomer,
            stop("no_channel"),
        ),
        row(
            "5 the caller has no other channel",
            &[BUSY],
            |request| request.candidates = vec!["a".to_owned()],
            AskCustomer,
            stop("no_channel"),
        ),
    ]
}

/// The exceptions for an unknown outcome.
fn exceptions() -> Vec<Row> {
    use v1::NextAction::{None as Nothing, QueryFirst, Switch};
    let nobody_has_it = &[Became::Lost { delivered: false }];
    vec![
        row(
            "E1 nobody holds what was prepared",
            nobody_has_it,
            prepares,
            Switch,
            SUBMIT,
        ),
        row("E1 the customer holds it", &[LOST], prepares, QueryFirst, WAIT),
        row("E1 it was no preparation", nobody_has_it, plain, QueryFirst, WAIT),
        row("E2 a hold may stand", &[LOST], holds, QueryFirst, WAIT),
        row(
            "E3 the same key again is a query",
            &[Became::Queried(v1::Resolution::Succeeded)],
            plain,
            Nothing,
            (v1::Action::Stop, "paid"),
        ),
    ]
}

/// Makes attempt `attempt_no` and gives what followed and the receipt.
async fn attempt(desk: &Desk, asked: v1::RouteRequest, became: Became) -> (v1::NextAction, Vec<u8>) {
    let name = format!("{}-{}", asked.payment_id, asked.attempt_no);
    let decision = desk.routing.route(asked).await.unwrap();
    assert_eq!(decision.action(), v1::Action::Submit, "{became:?}");
    // The channel answers at noon.
    desk.clock.set(NOON.parse().unwrap());
    let told = match became {
        Became::Failed(code) | Became::Retried(code) => failure(&decision, &name, code),
        Became::Lost { delivered } => v1::ReportOutcomeRequest {
            artefact_delivered: Some(delivered),
            ..report(&decision, &name, v1::Result::TimedOut)
        },
        Became::Queried(_) => report(&decision, &name, v1::Result::TimedOut),
        Became::Awaiting => report(&decision, &name, v1::Result::AwaitingCustomer),
        Became::Paid => report(&decision, &name, v1::Result::Succeeded),
    };
    let mut answer = desk.report(told.clone()).await.unwrap();
    match became {
        Became::Retried(_) => {
            assert_eq!(answer.next.unwrap().action(), v1::NextAction::RetrySame);
            let again = v1::ReportOutcomeRequest {
                attempt_id: format!("{name}r"),
                retry_of: answer.receipt,
                ..told
            };
            answer = desk.report(again).await.unwrap();
        }
        Became::Queried(resolution) => {
            let query = v1::ResolutionSource::Query;
            let found = desk.resolve(&answer.receipt, resolution, query).await.unwrap();
            return (found.next.unwrap().action(), found.receipt);
        }
        _ => {}
    }
    (answer.next.unwrap().action(), answer.receipt)
}

/// The channels of that many attempts: they are tried in their order.
fn tried(attempts: u32) -> Vec<String> {
    let channels = ["a", "b", "c"].into_iter().map(str::to_owned);
    channels.zip(0..attempts).map(|(channel, _)| channel).collect()
}

async fn check(row: &Row, guard: bool) {
    let desk = Desk::open().await;
    // A deadline at noon has not come yet when the first attempt is made.
    let noon: Timestamp = NOON.parse().unwrap();
    desk.clock.set(noon - SignedDuration::from_secs(1));
    let mut asked = v1::RouteRequest {
        guard,
        explain: true,
        ..request("ord_1")
    };
    (row.asks)(&mut asked);
    let mut advised = v1::NextAction::Unspecified;
    for (attempt_no, became) in (1..).zip(row.tried) {
        asked.attempt_no = attempt_no;
        asked.exclude_channels = tried(attempt_no - 1);
        let (next, receipt) = attempt(&desk, asked.clone(), *became).await;
        advised = next;
        asked.previous_attempts.push(receipt);
    }
    asked.attempt_no += 1;
    asked.exclude_channels = tried(asked.attempt_no - 1);
    let answer = desk.routing.route(asked).await.unwrap();
    let because = answer.explanation.as_ref().unwrap().halted_because.as_str();
    let said = (answer.action(), because);
    assert_eq!(
        advised, row.advised,
        "the advice of `{}`, guard: {guard}",
        row.name
    );
    assert_eq!(said, row.answer, "the answer to `{}`, guard: {guard}", row.name);
}

#[tokio::test]
async fn another_attempt_is_made_exactly_when_the_rule_allows_it() {
    for row in settled_and_open()
        .iter()
        .chain(&worth_another())
        .chain(&exceptions())
    {
        for guard in [false, true] {
            check(row, guard).await;
        }
    }
}

/// The guard keeps the deadline, and what is said after it: a later Route that names none is told.
#[tokio::test]
async fn a_guarded_order_stays_over() {
    let desk = Desk::open().await;
    let noon: Timestamp = NOON.parse().unwrap();
    desk.clock.set(noon - SignedDuration::from_secs(1));
    let mut asked = v1::RouteRequest {
        guard: true,
        explain: true,
        ..request("ord_1")
    };
    until_noon(&mut asked);
    attempt(&desk, asked.clone(), BUSY).await;
    asked.order_expires_at = None;
    asked.attempt_no = 2;
    let answer = desk.routing.route(asked).await.unwrap();
    assert_eq!(answer.action(), v1::Action::Stop);
    assert_eq!(answer.explanation.unwrap().halted_because, "order_over");
}
