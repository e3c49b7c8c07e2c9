//! How badly a receiver can answer.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::http::{self, Reply};

/// Between two bytes of a slow receiver.
const SLOWLY: Duration = Duration::from_millis(20);

/// A way to answer other than well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// With this answer, whatever was asked.
    Reply(Reply),
    /// With a redirect to there.
    Redirect(String),
    /// With a head that comes byte by byte and never ends.
    SlowHead,
    /// With headers, one after the other, without end.
    EndlessHead,
    /// With 200 and a body that never ends.
    EndlessBody,
    /// With 200 and a small body that unpacks to a large one.
    GzipBomb,
    /// By taking the message, and breaking the connection in the middle of the answer.
    ResetHalfWay,
    /// Not at all.
    Silence,
}

impl Mood {
    /// Answers, as long as `open` says that the zoo is.
    pub(super) fn act(
        &self,
        mut stream: &TcpStream,
        open: impl Fn() -> bool,
        dawdle: impl Fn(Duration),
    ) -> io::Result<()> {
        match self {
            Self::Reply(reply) => http::write(stream, reply),
            Self::Redirect(to) => http::write(stream, &Reply::text(301, "").with("location", to)),
            Self::SlowHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
                while open() {
                    stream.write_all(b"a")?;
                    dawdle(SLOWLY);
                }
                Ok(())
            }
            Self::EndlessHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                while open() {
                    stream.write_all(b"x-more: and more\r\n")?;
                }
                Ok(())
            }
            Self::EndlessBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                while open() {
                    stream.write_all(&[b'x'; 4096])?;
                }
                Ok(())
            }
            Self::GzipBomb => {
                let reply = Reply {
                    body: bomb(),
                    ..Reply::text(200, "")
                };
                http::write(stream, &reply.with("content-encoding", "gzip"))
            }
            Self::ResetHalfWay => reset_half_way(stream, &Reply::text(200, "ok")),
            Self::Silence => {
                while open() {
                    dawdle(SLOWLY);
                }
                Ok(())
            }
        }
    }
}

/// Writes the first half of the answer's head and breaks off.
pub(super) fn reset_half_way(mut stream: &TcpStream, reply: &Reply) -> io::Result<()> {
    let bytes = reply.bytes();
    let half = bytes.get(..20).unwrap_or_default();
    stream.write_all(half)?;
    stream.shutdown(std::net::Shutdown::Both)
}

/// Ten megabytes of zeros as 64 kB of gzip: one literal, and then again and again "the last 258 bytes once more".
fn bomb() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // Last block, fixed codes; the literal 0.
    let mut bits: Vec<u8> = [1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0].to_vec();
    for _ in 0..40_000 {
        // Length 258 (symbol 285), distance 1 (symbol 0).
        bits.extend([1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    for chunk in bits.chunks(8) {
        let byte = chunk.iter().rev().fold(0, |byte: u8, bit| byte << 1 | bit);
        bytes.push(byte);
    }
    bytes
}
