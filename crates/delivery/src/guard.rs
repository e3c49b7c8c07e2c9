//! The address guard: whom we may speak to. A receiver's address is configuration that somebody typed or an API
//! stored, and the machine that sends stands inside the network: without a guard it would fetch whatever it is
//! told to, cloud credentials first.
//!
//! The scheme and port are checked on the address as written, the network on every address it resolves to, and the
//! connection is made to exactly those: a name that resolves to something else a moment later changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use url::Url;

use crate::network::Network;

/// What is opened beyond `https` to port 443 of public addresses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Networks that are allowed although they are not public.
    pub allow_networks: Vec<Network>,
    /// Ports that are allowed.
    pub allow_ports: Vec<u16>,
    /// Whether plain `http` is allowed, which shows everything to everyone on the way.
    pub allow_http: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            allow_ports: vec![443],
            allow_http: false,
        }
    }
}

/// Why an address is not spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Neither `https` nor, where allowed, `http`.
    #[error("only https is spoken")]
    Scheme,
    /// No host in it.
    #[error("the address has no host")]
    NoHost,
    /// A name and password in it, which belong into headers.
    #[error("the address holds a user name or password")]
    Credentials,
    /// A port that is not on the list.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// An address that is not public, nor opened by the settings.
    #[error("address {0} is not public")]
    Address(IpAddr),
}

/// Whom we may speak to.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    settings: Settings,
}

impl Guard {
    /// A guard with these settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Checks what can be told from the address as written, and gives its port.
    ///
    /// # Errors
    /// When it is not spoken to.
    pub fn check_url(&self, url: &Url) -> Result<u16, Forbidden> {
        match url.scheme() {
            "https" => {}
            "http" if self.settings.allow_http => {}
            _ => return Err(Forbidden::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::Credentials);
        }
        let port = url.port_or_known_default().ok_or(Forbidden::Scheme)?;
        if !self.settings.allow_ports.contains(&port) {
            return Err(Forbidden::Port(port));
        }
        match url.host() {
            // The parser has read decimal, octal and hexadecimal forms by now: http://2130706433/ is 127.0.0.1.
            Some(url::Host::Ipv4(address)) => self.check_address(address.into())?,
            Some(url::Host::Ipv6(address)) => self.check_address(address.into())?,
            Some(url::Host::Domain(_)) => {}
            None => return Err(Forbidden::NoHost),
        }
        Ok(port)
    }

    /// Checks an address that a connection would be made to.
    ///
    /// # Errors
    /// When it is neither public nor opened.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Forbidden> {
        // ::ffff:127.0.0.1 reaches 127.0.0.1: judged, and opened, as what it reaches.
        let reached = address.to_canonical();
        let opened = self
            .settings
            .allow_networks
            .iter()
            .any(|network| network.contains(reached));
        if opened || is_public(reached) {
            Ok(())
        } else {
            Err(Forbidden::Address(address))
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Network {
    Network::of(IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Network {
    Network::of(IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), length)
}

/// What is not public of version 4, by the special-purpose registry of IANA.
const NOT_PUBLIC_V4: [Network; 16] = [
    v4(0, 0, 0, 8),       // this network
    v4(10, 0, 0, 8),      // private
    v4(100, 64, 0, 10),   // carrier-grade NAT, and the metadata of some clouds
    v4(127, 0, 0, 8),     // loopback
    v4(169, 254, 0, 16),  // link-local, and the metadata of most clouds
    v4(172, 16, 0, 12),   // private
    v4(192, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 24),    // documentation
    v4(192, 31, 196, 24), // AS112
    v4(192, 52, 193, 24), // automatic multicast tunnelling
    v4(192, 88, 99, 24),  // relays of 6to4
    v4(192, 168, 0, 16),  // private
    v4(198, 18, 0, 15),   // benchmarks
    v4(198, 51, 100, 24), // documentation
    v4(203, 0, 113, 24),  // documentation
    v4(224, 0, 0, 3),     // multicast, reserved, broadcast
];

/// Version 6 hands out public addresses from this network only: loopback, mapped, NAT64, unique local, link-local
/// and multicast all lie outside.
const PUBLIC_V6: Network = v6(0x2000, 0, 3);

/// What is not public within [`PUBLIC_V6`].
const NOT_PUBLIC_V6: [Network; 4] = [
    v6(0x2001, 0, 23),      // protocol assignments, Teredo among them
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x2002, 0, 16),      // 6to4: reaches any version 4 address
    v6(0x3fff, 0, 20),      // documentation
];

/// Whether everyone on the internet may reach `address`.
fn is_public(address: IpAddr) -> bool {
    let among = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
    match address {
        IpAddr::V4(_) => !among(&NOT_PUBLIC_V4),
        IpAddr::V6(_) => PUBLIC_V6.contains(address) && !among(&NOT_PUBLIC_V6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(url: &str) -> Result<u16, Forbidden> {
        Guard::default().check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn f38_addresses_that_are_not_public_are_refused() {
        let not_public = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in not_public {
            let address = address.parse().unwrap();
            assert_eq!(
                Guard::default().check_address(address),
                Err(Forbidden::Address(address))
            );
        }
        for address in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(Guard::default().check_address(address.parse().unwrap()), Ok(()));
        }
    }

    #[test]
    fn f38_every_way_to_write_loopback_is_loopback() {
        let written = [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://①②⑦.0.0.1/",
        ];
        for url in written {
            assert!(matches!(check(url), Err(Forbidden::Address(_))), "{url}");
        }
    }

    #[test]
    fn only_https_to_its_port_is_spoken_unless_more_is_allowed() {
        assert_eq!(check("https://hooks.example.com/x"), Ok(443));
        assert_eq!(check("http://hooks.example.com/x"), Err(Forbidden::Scheme));
        assert_eq!(check("file:///etc/passwd"), Err(Forbidden::Scheme));
        assert_eq!(check("https://hooks.example.com:22/"), Err(Forbidden::Port(22)));
        assert_eq!(
            check("https://u:p@hooks.example.com/"),
            Err(Forbidden::Credentials)
        );
        let open = Guard::new(Settings {
            allow_ports: vec![80],
            allow_http: true,
            ..Settings::default()
        });
        assert_eq!(open.check_url(&Url::parse("http://example.com").unwrap()), Ok(80));
    }

    #[test]
    fn a_network_is_opened_by_the_settings_also_when_it_is_written_as_mapped() {
        let open = Guard::new(Settings {
            allow_networks: vec!["10.1.0.0/16".parse().unwrap()],
            ..Settings::default()
        });
        assert_eq!(open.check_address("10.1.2.3".parse().unwrap()), Ok(()));
        assert_eq!(open.check_address("::ffff:10.1.2.3".parse().unwrap()), Ok(()));
        assert!(open.check_address("10.2.2.3".parse().unwrap()).is_err());
    }

    proptest! {
        /// The standard library's own idea of the common private ranges, as a second opinion.
        #[test]
        fn f38_no_private_address_is_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let private = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_unspecified() || address.is_broadcast() || address.is_multicast()
                || address.is_documentation();
            prop_assert!(!(private && is_public(address.into())));
            let mapped = IpAddr::V6(address.to_ipv6_mapped());
            let guard = Guard::default();
            prop_assert_eq!(guard.check_address(mapped).is_ok(), guard.check_address(address.into()).is_ok());
        }

        #[test]
        fn f38_no_local_version_6_address_is_public(bits in any::<u128>(), prefix in 0_usize..3) {
            let prefix = [0xfc00_u128, 0xfe80, 0xff00][prefix] << 112;
            let address = Ipv6Addr::from_bits(prefix | (bits >> 16));
            prop_assert!(!is_public(address.into()));
        }
    }
}
