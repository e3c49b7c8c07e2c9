//! Where a service listens: on loopback, unless somebody has said how a wider address is protected.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// What lets callers from other machines in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: only callers on this machine are served.
    Local,
    /// Callers show a token.
    Tokens,
    /// Everybody who reaches the address is served, by an explicit choice.
    Insecure,
}

/// Why a service does not listen. Every message names the setting to change.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Other machines would be served without a token.
    #[error(
        "`{setting}` is {address}, which other machines can reach: set `auth.tokens_file`, or `listen.insecure` (--insecure) to serve \
         everyone, or listen on 127.0.0.1"
    )]
    Exposed {
        /// The name of the setting.
        setting: &'static str,
        /// The address it holds.
        address: SocketAddr,
    },
    /// Another process listens there.
    #[error("`{setting}` is {address}, where another process listens already")]
    Taken {
        /// The name of the setting.
        setting: &'static str,
        /// The address it holds.
        address: SocketAddr,
    },
    /// The operating system refused the address.
    #[error("`{setting}` is {address}, where this process cannot listen")]
    Refused {
        /// The name of the setting.
        setting: &'static str,
        /// The address it holds.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Refuses an address that other machines can reach when nothing protects it.
///
/// # Errors
/// [`ListenError::Exposed`] when `address` is not a loopback address and `access` is [`Access::Local`].
pub fn check_exposure(setting: &'static str, address: SocketAddr, access: Access) -> Result<(), ListenError> {
    // `::ffff:127.0.0.1` is loopback as well.
    let local = address.ip().to_canonical().is_loopback();
    match access {
        Access::Local if !local => Err(ListenError::Exposed { setting, address }),
        Access::Local | Access::Tokens | Access::Insecure => Ok(()),
    }
}

/// Listens on `address` after [`check_exposure`]; port 0 takes a free one.
///
/// # Errors
/// When the address is exposed, taken, or not this machine's.
pub async fn bind(
    setting: &'static str,
    address: SocketAddr,
    access: Access,
) -> Result<TcpListener, ListenError> {
    check_exposure(setting, address, access)?;
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::Taken { setting, address },
            _ => ListenError::Refused {
                setting,
                address,
                source,
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_needs_no_protection() {
        for (address, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.168.0.7:1", false),
            ("[::ffff:192.168.0.7]:1", false),
            ("[fe80::1]:1", false),
        ] {
            let check = |access| check_exposure("grpc.listen", address.parse().unwrap(), access).is_ok();
            assert_eq!(check(Access::Local), local, "{address}");
            assert!(check(Access::Tokens), "{address}");
            assert!(check(Access::Insecure), "{address}");
        }
    }

    #[tokio::test]
    async fn an_exposed_address_is_refused_with_what_to_do() {
        let error = bind("grpc.listen", "0.0.0.0:0".parse().unwrap(), Access::Local)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`grpc.listen` is 0.0.0.0:0, which other machines can reach: set `auth.tokens_file`, or \
             `listen.insecure` (--insecure) to serve everyone, or listen on 127.0.0.1"
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_setting() {
        let first = bind("grpc.listen", "127.0.0.1:0".parse().unwrap(), Access::Local)
            .await
            .unwrap();
        let address = first.local_addr().unwrap();
        let error = bind("admin.listen", address, Access::Local).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`admin.listen` is {address}, where another process listens already")
        );
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        // 192.0.2.0/24 is reserved for documentation: no machine has it.
        let error = bind("grpc.listen", "192.0.2.1:0".parse().unwrap(), Access::Tokens)
            .await
            .unwrap_err();
        assert!(matches!(error, ListenError::Refused { .. }), "{error:?}");
    }
}
