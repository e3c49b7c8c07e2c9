//! A network that is slow: it hands everything on, and the answers later.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Answers that are on their way, per connection.
const ON_THE_WAY: usize = 1_024;

/// A slow way to a server. Ends when it is dropped.
pub(super) struct Slow {
    /// Where it listens.
    pub(super) address: SocketAddr,
    _stop: DropGuard,
}

impl Slow {
    /// A way to `server` whose answers come `delay` later.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(super) async fn way_to(server: SocketAddr, delay: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            while let Ok((caller, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(server).await {
                    hand_on(caller, server, delay);
                }
            }
        }));
        Ok(Self {
            address,
            _stop: stop.drop_guard(),
        })
    }
}

fn hand_on(caller: TcpStream, server: TcpStream, delay: Duration) {
    let _smooth = (caller.set_nodelay(true), server.set_nodelay(true));
    let (mut questions, caller) = caller.into_split();
    let (answers, mut server) = server.into_split();
    tokio::spawn(async move { copy(&mut questions, &mut server).await });
    let (later, due) = mpsc::channel(ON_THE_WAY);
    tokio::spawn(take(answers, delay, later));
    tokio::spawn(give(due, caller));
}

async fn take(mut answers: OwnedReadHalf, delay: Duration, send: mpsc::Sender<(Instant, Vec<u8>)>) {
    let mut bytes = vec![0; 16_384];
    while let Ok(count @ 1..) = answers.read(&mut bytes).await {
        let read = bytes.get(..count).unwrap_or_default().to_vec();
        if send.send((Instant::now() + delay, read)).await.is_err() {
            break;
        }
    }
}

async fn give(mut sent: mpsc::Receiver<(Instant, Vec<u8>)>, mut caller: OwnedWriteHalf) {
    while let Some((at, bytes)) = sent.recv().await {
        sleep_until(at).await;
        if caller.write_all(&bytes).await.is_err() {
            break;
        }
    }
}
