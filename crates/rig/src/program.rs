//! A program under test that says on its standard output where it listens.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::leash::RigError;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    addresses: HashMap<String, SocketAddr>,
}

impl Program {
    /// Starts `command` and waits until it has printed a line `LABEL ADDRESS` for each of `labels`.
    ///
    /// # Errors
    /// When it cannot be started, or ends before.
    pub fn start(command: &mut Command, labels: &[&str]) -> Result<Self, RigError> {
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(RigError::io("start the program"))?;
        let mut addresses = HashMap::new();
        let said = child.stdout.take().map(BufReader::new);
        let mut lines = said.into_iter().flat_map(BufReader::lines);
        while addresses.len() < labels.len() {
            let Some(Ok(line)) = lines.next() else {
                let ended = child.wait().map_err(RigError::io("wait for the program"))?;
                return Err(RigError::Failed(format!(
                    "it ended with {ended} before it was ready"
                )));
            };
            for label in labels {
                let address = line.strip_prefix(label).and_then(|rest| rest.trim().parse().ok());
                if let Some(address) = address {
                    addresses.insert((*label).to_owned(), address);
                }
            }
        }
        // What it says later must find a reader, or it would end of a broken pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, addresses })
    }

    /// Where it listens, by the label that it said it with.
    ///
    /// # Panics
    /// When it was not started with that label.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "for tests, where a wrong label is a mistake of the test"
    )]
    pub fn address(&self, label: &str) -> SocketAddr {
        *self.addresses.get(label).expect("a label it was started with")
    }

    /// Kills it as a power cut would: no chance to finish anything.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(mut self) -> Result<(), RigError> {
        self.child.kill().map_err(RigError::io("kill the program"))?;
        self.wait_for_end().map(drop)
    }

    /// Sends it a signal, such as `TERM` or `STOP`.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, signal: &str) -> Result<(), RigError> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status();
        if sent.map_err(RigError::io("run kill"))?.success() {
            Ok(())
        } else {
            Err(RigError::Failed(format!("process {id} took no {signal}")))
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(mut self) -> Result<ExitStatus, RigError> {
        self.wait_for_end()
    }

    fn wait_for_end(&mut self) -> Result<ExitStatus, RigError> {
        self.child.wait().map_err(RigError::io("wait for the program"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What HTTP answers to a GET of `path` at `address`: status line, headers and body.
///
/// # Errors
/// When nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Result<String, RigError> {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().map_err(RigError::io(format!("ask http://{address}{path}")))
}
