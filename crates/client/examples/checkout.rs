//! A checkout against `payroute serve`: a wallet whose first channel is closed for maintenance, and whose second does not
//! answer in time.
//!
//! ```console
//! $ payroute serve &
//! $ cargo run --package payroute-client --example checkout -- 127.0.0.1:7433 ord_1
//! ```

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use payroute_client::{Channels, Client, Conclusion, Found, Payment, Submit, Submitted};

/// The caller's own integrations. Real ones speak to providers, and keep their credentials in here.
struct Wallet;

impl Channels for Wallet {
    async fn submit(&self, submit: &Submit) -> Submitted {
        match submit.attempt_no {
            1 => Submitted::failed("CHANNEL_MAINTENANCE").provider("payroute"),
            2 => Submitted::timed_out(),
            _ => Submitted::succeeded(),
        }
    }

    async fn query(&self, _: &Submit) -> Found {
        Found::NotProcessed
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let router = arguments.next().unwrap_or_else(|| "127.0.0.1:7433".to_owned());
    let name = arguments.next().unwrap_or_else(|| "ord_1".to_owned());
    let mut out = std::io::stdout();

    let payroute = Client::builder().router(router).build()?;
    let payment = Payment::of("example_shop", name)
        .amount(1_999, "CNY")
        .method("wechat_pay")
        .presentment("h5")
        .country("CN")
        .locale("en")
        .build()?;
    let mut conclusion = payroute.pay(&payment, Wallet).await?;
    if let Conclusion::Confirming(confirming) = conclusion {
        writeln!(out, "customer: {}", confirming.message().what)?;
        conclusion = confirming.settled().await?;
    }
    for tried in conclusion.tried() {
        let submit = &tried.submit;
        writeln!(
            out,
            "attempt {}: {}, {:?}",
            submit.attempt_no, submit.channel_id, tried.doubt
        )?;
    }
    match &conclusion {
        Conclusion::Paid(_) => writeln!(out, "paid")?,
        Conclusion::NotPaid(not_paid) => writeln!(out, "not paid: {}", not_paid.message.what)?,
        Conclusion::OfferMethods(offer) => writeln!(out, "other methods: {:?}", offer.methods)?,
        Conclusion::Confirming(_) | Conclusion::Unsettled(_) => writeln!(out, "nobody knows yet")?,
    }
    let undelivered = payroute.close(Duration::from_secs(5)).await;
    writeln!(out, "{undelivered} outcomes were not delivered")?;
    Ok(())
}
