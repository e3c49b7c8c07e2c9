//! Free ports.

use std::net::{Ipv4Addr, TcpListener};

/// A loopback port that nobody listens on at the moment.
///
/// # Errors
/// When the machine has none left.
pub fn free() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
