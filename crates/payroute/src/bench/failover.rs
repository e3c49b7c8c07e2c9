//! From knowing of a failure to the start of the next submit, with the SDK: what a customer waits for when a channel
//! fails.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use client::{Client, Payment, Submit, Submitted};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::load::{Figures, Load};
use super::route_request;
use super::slow::Slow;

/// How much later a slow router answers.
const SLOW: Duration = Duration::from_secs(1);

/// How many payments are under way at once where a router is slow: each takes seconds.
const AT_ONCE: u16 = 8;

/// Which routers the shop has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Routers {
    /// One, near by.
    One,
    /// Two, of which one is slow.
    OneOfTwoSlow,
    /// One, and it is slow.
    OnlySlow,
}

impl Routers {
    /// All cases.
    pub(super) const ALL: [Self; 3] = [Self::One, Self::OneOfTwoSlow, Self::OnlySlow];

    const fn callers(self) -> u16 {
        match self {
            Self::One => 1,
            Self::OneOfTwoSlow | Self::OnlySlow => AT_ONCE,
        }
    }
}

impl fmt::Display for Routers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::One => "SDK",
            Self::OneOfTwoSlow => "SDK, one router of two answers 1 s late",
            Self::OnlySlow => "SDK, the only router answers 1 s late",
        })
    }
}

/// Measures payments whose first channel refuses, for `time`.
///
/// # Errors
/// When a payment is refused, or an outcome is not delivered in the end.
pub(super) async fn measure(
    payroute: SocketAddr,
    routers: Routers,
    time: Duration,
) -> anyhow::Result<Figures> {
    let slow = Slow::way_to(payroute, SLOW).await?;
    let addresses = match routers {
        Routers::One => vec![payroute],
        Routers::OneOfTwoSlow => vec![slow.address, payroute],
        Routers::OnlySlow => vec![slow.address],
    };
    let addresses = addresses.iter().map(ToString::to_string);
    let client = Client::builder()
        .routers(addresses)
        .route_within(5 * SLOW)
        .build()?;
    let mut callers = JoinSet::new();
    for number in 0..routers.callers() {
        let (client, name) = (client.clone(), format!("failover-{routers:?}-{number}"));
        callers.spawn(async move { call_for(&client, &name, time).await });
    }
    let mut waits_us = Vec::new();
    while let Some(caller) = callers.join_next().await {
        waits_us.extend(caller??);
    }
    let undelivered = client.close(Duration::from_secs(30)).await;
    anyhow::ensure!(undelivered == 0, "{undelivered} outcomes were not delivered");
    Ok(Figures::of(waits_us, time))
}

/// Pays until the time is over, and gives each wait in microseconds.
async fn call_for(client: &Client, name: &str, time: Duration) -> anyhow::Result<Vec<u32>> {
    let began = Instant::now() + Load::WARM_UP;
    let mut waits_us = Vec::new();
    let mut number = 0;
    while began.elapsed() < time {
        let payment = Payment::try_from(route_request(format!("{name}-{number}")))?;
        let conclusion = client.pay(&payment, second_time_lucky()).await?;
        let second = conclusion.tried().get(1);
        // None when no second channel was found within the SDK's time for it: then nothing was submitted.
        let failover = second.and_then(|second| second.failover);
        if let Some(failover) = failover.filter(|_| Instant::now() >= began) {
            waits_us.push(u32::try_from(failover.as_micros()).unwrap_or(u32::MAX));
        }
        number += 1;
    }
    Ok(waits_us)
}

/// Channels of which the first says no without a reason, and the second pays.
fn second_time_lucky() -> impl Fn(Submit) -> std::future::Ready<Submitted> + Send + Sync + 'static {
    let first = std::sync::OnceLock::new();
    move |submit| {
        let is_first = *first.get_or_init(|| submit.channel_id.clone()) == submit.channel_id;
        std::future::ready(if is_first {
            Submitted::declined("DO_NOT_HONOR").provider("payroute")
        } else {
            Submitted::succeeded()
        })
    }
}
