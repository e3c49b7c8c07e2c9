//! TLS: only with whom it says it is.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use payroute_delivery::exchange::{Answer, Exchange, ExchangeError};
use payroute_delivery::guard::{self, Guard};
use payroute_delivery::resolve::{Resolve, Resolving};
use payroute_delivery::tls::Tls;
use payroute_delivery::wire::Request;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection, StreamOwned};

use crate::stand::Stand;

/// Every name is this machine.
#[derive(Debug)]
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)]) })
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A receiver called `receiver.example`, with a certificate of the tests' own root. Gives its port.
fn receiver() -> u16 {
    let certificate = CertificateDer::from_pem_file(data("receiver.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(data("receiver.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let connection = ServerConnection::new(Arc::new(config)).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        // A sender that does not trust the certificate breaks off here.
        if stream.read(&mut [0; 4096]).is_ok() {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            let _ = stream.write_all(answer);
        }
    });
    port
}

async fn post(host: &str, port: u16, roots: Option<&Path>) -> Result<Answer, ExchangeError> {
    let guard = Guard::new(guard::Settings {
        allow_networks: vec!["127.0.0.1".parse().unwrap()],
        allow_ports: vec![port],
        allow_http: false,
    });
    let exchange = Exchange::new(guard, Tls::new(roots).unwrap()).with_resolver(Arc::new(Here));
    let url = format!("https://{host}:{port}/hook").parse().unwrap();
    exchange.run(Request::json(url, &json!({}))).await
}

#[tokio::test]
async fn a_receiver_with_the_right_certificate_is_spoken_to() {
    let port = receiver();
    let answer = post("receiver.example", port, Some(&data("root.pem")))
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_slice()),
        (200, b"ok".as_slice())
    );
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_or_of_another_name_is_refused() {
    let root = data("root.pem");
    for (host, roots) in [
        ("receiver.example", None),
        ("other.example", Some(root.as_path())),
    ] {
        let port = receiver();
        let error = post(host, port, roots).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Tls(_)), "{host}: {error}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_tls_is_refused() {
    let stand = Stand::new();
    let error = post("receiver.example", stand.zoo.address().port(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Tls(_)), "{error}");
}

#[test]
fn a_file_that_holds_no_certificate_is_named() {
    let error = Tls::new(Some(Path::new("/nowhere/roots.pem"))).unwrap_err();
    assert!(error.to_string().contains("/nowhere/roots.pem"));
}
