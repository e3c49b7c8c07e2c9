//! TLS towards receivers: 1.2 and later, with Mozilla's roots and those of the settings.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTls {
    /// The file of additional roots cannot be read as PEM.
    #[error("cannot read the certificates of {path}")]
    Roots {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// One of them is not a certificate.
    #[error("not a certificate")]
    Certificate(#[source] rustls::Error),
    /// No version of TLS is left.
    #[error("no TLS")]
    Versions(#[source] rustls::Error),
}

/// How TLS is spoken.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl Tls {
    /// TLS with Mozilla's roots, and those in the PEM file `more_roots`.
    ///
    /// # Errors
    /// When the file does not hold certificates.
    pub fn new(more_roots: Option<&Path>) -> Result<Self, InvalidTls> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(path) = more_roots {
            let unreadable = |source| InvalidTls::Roots {
                path: path.display().to_string(),
                source,
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                roots.add(certificate).map_err(InvalidTls::Certificate)?;
            }
        }
        // Named, not taken from the process: another crate may have installed another provider, or none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(InvalidTls::Versions)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Speaks TLS over `stream` with the server called `host`.
    ///
    /// # Errors
    /// When the server cannot prove that it is.
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        // A version 6 address stands in brackets in an address, and without them in a certificate.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}
