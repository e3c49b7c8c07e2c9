//! `payroute probe`: whether the service of this machine is ready, for images that have nothing to ask with.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Uri;

use crate::settings::flags::Flags;

/// Health checks of orchestrators wait for a few seconds; an answer takes microseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// More than any answer of a probe has. What else answers there cannot fill the memory.
const LONGEST_ANSWER: u64 = 64 * 1_024;

/// What `probe` takes.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// What to ask; not given: /readyz where the settings have `listen.admin`
    #[arg(long, value_name = "http://HOST:PORT/PATH")]
    url: Option<Uri>,
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
    let answer = tokio::time::timeout(ANSWER_WITHIN, get(&url)).await;
    let answer = answer
        .map_err(anyhow::Error::from)
        .flatten()
        .with_context(|| format!("{url} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    anyhow::ensure!(
        status.split(' ').nth(1) == Some("200"),
        "{url} answers {status}: {}",
        body.trim_end()
    );
    writeln!(out, "{}", body.trim_end())?;
    Ok(())
}

/// Where a service that listens on `admin` says whether it is ready: one that listens everywhere also does on loopback.
fn ready_at(mut admin: SocketAddr) -> anyhow::Result<Uri> {
    if admin.ip().is_unspecified() {
        admin.set_ip(match admin.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(format!("http://{admin}/readyz").parse()?)
}

/// The whole answer to a GET. HTTP/1.0, whose answers end with the connection: nothing has to be understood but the
/// status line.
async fn get(url: &Uri) -> anyhow::Result<String> {
    anyhow::ensure!(url.scheme_str() == Some("http"), "expected http://HOST:PORT/PATH");
    let host = url.host().context("it has no host")?;
    let address = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let mut connection = TcpStream::connect(address).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection
        .take(LONGEST_ANSWER)
        .read_to_string(&mut answer)
        .await?;
    Ok(answer)
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
