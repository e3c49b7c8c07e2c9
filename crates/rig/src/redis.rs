//! A Redis server.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::leash::{Leash, RigError, wait_for};
use crate::port;

/// A Redis server with a folder and a port of its own.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    program: &'static str,
    port: u16,
    arguments: Vec<String>,
    server: Option<Leash>,
}

impl Redis {
    /// Starts one that keeps nothing on disk.
    ///
    /// # Errors
    /// When there is no `redis-server`, or it does not answer.
    pub fn start() -> Result<Self, RigError> {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// Starts one with `arguments` besides its port and folder.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn start_with(arguments: &[&str]) -> Result<Self, RigError> {
        Self::start_on(free_port()?, "redis-server", arguments)
    }

    /// Starts a member of a cluster, which also needs the port `bus_above` its own.
    pub(crate) fn start_member(bus_above: u16, arguments: &[&str]) -> Result<Self, RigError> {
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let mut port = free_port()?;
        while !port.checked_add(bus_above).is_some_and(is_free) {
            port = free_port()?;
        }
        Self::start_on(port, "redis-server", arguments)
    }

    /// Starts a Valkey that keeps nothing on disk; `None` when there is no `valkey-server`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start_valkey() -> Result<Option<Self>, RigError> {
        const PROGRAM: &str = "valkey-server";
        let there = Command::new(PROGRAM).arg("--version").output().is_ok();
        there
            .then(|| Self::start_on(free_port()?, PROGRAM, &["--save", "", "--appendonly", "no"]))
            .transpose()
    }

    fn start_on(port: u16, program: &'static str, arguments: &[&str]) -> Result<Self, RigError> {
        let mut redis = Self {
            program,
            folder: TempDir::new().map_err(RigError::io("make a folder for Redis"))?,
            port,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            server: None,
        };
        redis.restart()?;
        Ok(redis)
    }

    /// Starts it again, on the same port and folder, after [`Redis::kill`].
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn restart(&mut self) -> Result<(), RigError> {
        self.kill();
        let mut arguments = vec!["--port".to_owned(), self.port.to_string()];
        arguments.extend(["--bind", "127.0.0.1", "--dir"].map(ToOwned::to_owned));
        arguments.push(self.folder.path().display().to_string());
        arguments.extend(self.arguments.iter().cloned());
        self.server = Some(Leash::start(self.folder.path(), self.program, &arguments)?);
        wait_for("Redis to answer", || {
            self.ask(&["PING"]).is_ok_and(|answer| answer == "PONG")
        })
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// The running server, for signals.
    #[must_use]
    pub const fn server(&self) -> Option<&Leash> {
        self.server.as_ref()
    }

    /// Its port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Its address, as in `redis://127.0.0.1:6379`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints for a command.
    ///
    /// # Errors
    /// When it cannot be run, or the server does not answer.
    pub fn ask(&self, command: &[&str]) -> Result<String, RigError> {
        let port = self.port.to_string();
        let said = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &port])
            .args(command)
            .output()
            .map_err(RigError::io("run redis-cli"))?;
        if said.status.success() {
            Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
        } else {
            Err(RigError::Failed(
                String::from_utf8_lossy(&said.stderr).into_owned(),
            ))
        }
    }
}

fn free_port() -> Result<u16, RigError> {
    port::free().map_err(RigError::io("find a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_until_it_is_killed_and_again_after() {
        let mut redis = Redis::start().unwrap();
        assert_eq!(redis.ask(&["SET", "a", "1"]).unwrap(), "OK");
        redis.kill();
        assert!(redis.ask(&["PING"]).is_err());
        redis.restart().unwrap();
        assert_eq!(redis.ask(&["GET", "a"]).unwrap(), "");
    }
}
