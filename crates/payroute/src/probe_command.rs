//! `payroute probe`: whether the service of this machine is ready, for images that have nothing to ask with.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use reqwest::{Client, StatusCode, Url};

use crate::settings::flags::Flags;

/// Health checks of orchestrators wait for a few seconds; an answer takes microseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What `probe` takes.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// What to ask; not given: /readyz where the settings have `listen.admin`
    #[arg(long, value_name = "http://HOST:PORT/PATH")]
    url: Option<Url>,
    /// The settings of the service.
    #[command(flatten)]
    flags: Flags,
}

/// Asks, and prints the answer to `out`.
///
/// # Errors
/// When nobody answers in time, or the answer is another than 200.
pub(crate) async fn run(probe: Probe, out: &mut impl Write) -> anyhow::Result<()> {
    let url = match probe.url {
        Some(url) => url,
        None => ready_at(probe.flags.load()?.listen.admin)?,
    };
    // A proxy that the environment names is for the services, not for asking this machine.
    let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
    let answer = client.get(url.clone()).send().await;
    let answer = answer.with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    let body = answer.text().await?;
    anyhow::ensure!(
        status == StatusCode::OK,
        "{url} answers {status}: {}",
        body.trim_end()
    );
    writeln!(out, "{}", body.trim_end())?;
    Ok(())
}

/// Where a service that listens on `admin` says whether it is ready: one that listens everywhere also does on loopback.
fn ready_at(mut admin: SocketAddr) -> anyhow::Result<Url> {
    if admin.ip().is_unspecified() {
        admin.set_ip(match admin.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("http://{admin}/readyz").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        for (listens, asked) in [
            ("0.0.0.0:7434", "http://127.0.0.1:7434/readyz"),
            ("[::]:7434", "http://[::1]:7434/readyz"),
            ("192.0.2.1:1", "http://192.0.2.1:1/readyz"),
        ] {
            assert_eq!(ready_at(listens.parse().unwrap()).unwrap().to_string(), asked);
        }
    }
}
