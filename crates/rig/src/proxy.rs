//! A proxy that does to a connection what networks do.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::leash::RigError;

/// What a proxy does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: it passes.
    None,
    /// It is taken and never answered.
    BlackHole,
    /// Answers come this much later.
    Delay(Duration),
    /// The next answer is lost with its connection, after the server did what it was asked; then all is well.
    LoseNextReply,
    /// Connections end, and new ones end at once.
    Cut,
    /// Everything comes in pieces of one byte.
    Slice,
}

/// A proxy on loopback, in front of one server. Ends with the test process.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    trouble: Mutex<Trouble>,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy in front of the server on loopback port `target`.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(target: u16) -> Result<Self, RigError> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(RigError::io("listen as a proxy"))?;
        let port = listener
            .local_addr()
            .map_err(RigError::io("learn the proxy's port"))?
            .port();
        let shared = Arc::new(Shared {
            target: Mutex::new((Ipv4Addr::LOCALHOST, target).into()),
            trouble: Mutex::new(Trouble::None),
            open: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                own.serve(client);
            }
        });
        Ok(Self { port, shared })
    }

    /// Its port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on does this to what passes, also on connections that are open.
    pub fn set(&self, trouble: Trouble) {
        *lock(&self.shared.trouble) = trouble;
        if trouble == Trouble::Cut {
            self.shared.cut();
        }
    }

    /// From now on stands in front of the server on loopback port `target`, as an address does that a failover moves.
    /// Open connections end.
    pub fn retarget(&self, target: u16) {
        *lock(&self.shared.target) = (Ipv4Addr::LOCALHOST, target).into();
        self.shared.cut();
    }

    /// What it does at the moment.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        *lock(&self.shared.trouble)
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, client: TcpStream) {
        if *lock(&self.trouble) == Trouble::Cut {
            return;
        }
        let target = *lock(&self.target);
        let Ok(server) = TcpStream::connect(target) else {
            return;
        };
        let _smooth = (client.set_nodelay(true), server.set_nodelay(true));
        let pairs = (client.try_clone(), server.try_clone());
        let (Ok(client_in), Ok(server_in)) = pairs else {
            return;
        };
        lock(&self.open).extend([client.try_clone(), server.try_clone()].into_iter().flatten());
        let own = Arc::clone(self);
        std::thread::spawn(move || own.pass(client_in, server, false));
        let own = Arc::clone(self);
        std::thread::spawn(move || own.pass(server_in, client, true));
    }

    /// Moves bytes until either end is gone; `answers` are those of the server.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, answers: bool) {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let Some(read) = bytes.get(..count) else {
                break;
            };
            if self.hinder(read, &mut to, answers).is_err() {
                break;
            }
        }
        let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    fn hinder(&self, bytes: &[u8], to: &mut TcpStream, answers: bool) -> std::io::Result<()> {
        let trouble = {
            let mut trouble = lock(&self.trouble);
            let now = *trouble;
            if answers && now == Trouble::LoseNextReply {
                *trouble = Trouble::None;
            }
            now
        };
        match trouble {
            Trouble::None => to.write_all(bytes),
            Trouble::LoseNextReply if !answers => to.write_all(bytes),
            Trouble::LoseNextReply | Trouble::Cut => Err(std::io::ErrorKind::ConnectionReset.into()),
            Trouble::BlackHole => Ok(()),
            Trouble::Delay(time) => {
                if answers {
                    std::thread::sleep(time);
                }
                to.write_all(bytes)
            }
            Trouble::Slice => bytes.chunks(1).try_for_each(|byte| to.write_all(byte)),
        }
    }

    fn cut(&self) {
        for stream in lock(&self.open).drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Redis;

    fn ask(stream: &mut TcpStream, command: &str) -> std::io::Result<String> {
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = [0; 64];
        let mut text = String::new();
        while !text.ends_with("\r\n") {
            match stream.read(&mut answer)? {
                0 => return Err(std::io::ErrorKind::ConnectionReset.into()),
                count => text.push_str(&String::from_utf8_lossy(&answer[..count])),
            }
        }
        Ok(text)
    }

    #[test]
    fn each_trouble_does_what_it_says_and_ends_when_it_is_over() {
        let redis = Redis::start().unwrap();
        let proxy = Proxy::start(redis.port()).unwrap();
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        let mut stream = connect();
        assert_eq!(ask(&mut stream, "INCR n").unwrap(), ":1\r\n");
        proxy.set(Trouble::Slice);
        assert_eq!(ask(&mut stream, "INCR n").unwrap(), ":2\r\n");
        proxy.set(Trouble::LoseNextReply);
        assert!(ask(&mut stream, "INCR n").is_err());
        assert_eq!(proxy.trouble(), Trouble::None);
        assert_eq!(redis.ask(&["GET", "n"]).unwrap(), "3");
        let mut stream = connect();
        proxy.set(Trouble::BlackHole);
        assert!(ask(&mut stream, "INCR n").is_err());
        proxy.set(Trouble::Cut);
        assert!(ask(&mut connect(), "INCR n").is_err());
        proxy.set(Trouble::None);
        assert_eq!(ask(&mut connect(), "INCR n").unwrap(), ":4\r\n");
    }

    #[test]
    fn another_server_can_take_the_place_of_the_first() {
        let (first, second) = (Redis::start().unwrap(), Redis::start().unwrap());
        let proxy = Proxy::start(first.port()).unwrap();
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        let mut stream = connect();
        assert_eq!(ask(&mut stream, "INCR n").unwrap(), ":1\r\n");
        proxy.retarget(second.port());
        assert!(ask(&mut stream, "INCR n").is_err());
        assert_eq!(ask(&mut connect(), "INCR n").unwrap(), ":1\r\n");
        assert_eq!(first.ask(&["GET", "n"]).unwrap(), "1");
    }
}
