//! A Postgres server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::leash::{Leash, RigError, wait_for};
use crate::port;

/// Where Debian puts the programs of each version, besides the `PATH`.
const VERSIONS: &str = "/usr/lib/postgresql";

/// A Postgres server with a folder and a port of its own. Its superuser is `postgres`, without a password.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    flush: bool,
    server: Option<Leash>,
    databases: AtomicU32,
    /// Removes the folder.
    guard: Option<TempDir>,
}

impl Postgres {
    /// The server that all tests of this process share: it forgets on a crash of the machine, and is fast.
    ///
    /// # Panics
    /// When it cannot be started: then no test that needs it can say anything.
    #[expect(clippy::panic, reason = "for tests, which have no better way to end")]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match Self::make(false, true) {
            Ok(server) => server,
            Err(error) => panic!("no Postgres for the tests: {error:?}"),
        })
    }

    /// Starts a server that flushes every commit to the disk, as in production.
    ///
    /// # Errors
    /// When its programs are not found, or it does not answer.
    pub fn start() -> Result<Self, RigError> {
        Self::make(true, false)
    }

    fn make(flush: bool, shared: bool) -> Result<Self, RigError> {
        let folder = TempDir::new().map_err(RigError::io("make a folder for Postgres"))?;
        let mut postgres = Self {
            programs: programs()?,
            folder: folder.path().to_owned(),
            port: port::free().map_err(RigError::io("find a free port"))?,
            flush,
            server: None,
            databases: AtomicU32::new(0),
            guard: None,
        };
        postgres.create()?;
        if shared {
            // A static is never dropped: the keeper removes the folder.
            let arguments = postgres.arguments();
            let (program, arguments) = as_postgres(&postgres.programs.join("postgres"), arguments);
            postgres.server = Some(Leash::start_and_clean(folder, &program, &arguments)?);
            postgres.wait()?;
        } else {
            postgres.guard = Some(folder);
            postgres.restart()?;
        }
        Ok(postgres)
    }

    fn create(&self) -> Result<(), RigError> {
        let data = self.folder.join("data");
        if is_root() {
            run(
                "chown",
                &["postgres".to_owned(), self.folder.display().to_string()],
            )?;
        }
        let arguments = [
            "-D",
            &data.display().to_string(),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        .into_iter()
        .chain(["--no-sync", "--no-locale"])
        .map(ToOwned::to_owned)
        .collect();
        let (program, arguments) = as_postgres(&self.programs.join("initdb"), arguments);
        run(&program, &arguments)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["-D".to_owned(), self.folder.join("data").display().to_string()];
        let flush = if self.flush { "on" } else { "off" };
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.folder.display()),
            "max_connections=200".to_owned(),
            format!("fsync={flush}"),
        ] {
            arguments.extend(["-c".to_owned(), setting]);
        }
        arguments
    }

    /// Starts it again, on the same port and data, after [`Postgres::kill`].
    ///
    /// # Errors
    /// When it does not answer.
    pub fn restart(&mut self) -> Result<(), RigError> {
        self.kill();
        // What a killed server leaves behind keeps the next one from starting while its children still end.
        let _none = fs::remove_file(self.folder.join("data/postmaster.pid"));
        let (program, arguments) = as_postgres(&self.programs.join("postgres"), self.arguments());
        self.server = Some(Leash::start(&self.folder, &program, &arguments)?);
        self.wait()
    }

    fn wait(&self) -> Result<(), RigError> {
        wait_for("Postgres to answer", || self.ask("postgres", "select 1").is_ok())
    }

    /// Kills it with SIGKILL, as when the machine goes.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Stops all its processes where they are, as when the machine hangs: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<(), RigError> {
        self.signal_all("STOP")
    }

    /// Lets it go on after [`Postgres::freeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<(), RigError> {
        self.signal_all("CONT")
    }

    /// A signal to the server, which then has no more children, and to those that serve connections.
    fn signal_all(&self, signal: &str) -> Result<(), RigError> {
        let server = self
            .server()
            .ok_or(RigError::Failed("it does not run".to_owned()))?;
        server.signal(signal)?;
        let listed = Command::new("pgrep").args(["-P", server.pid()]).output();
        let listed = listed.map_err(RigError::io("run pgrep"))?.stdout;
        let children = String::from_utf8_lossy(&listed).into_owned();
        // One that ends meanwhile takes no signal, and needs none.
        let _sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .args(children.split_whitespace())
            .output()
            .map_err(RigError::io("run kill"))?;
        Ok(())
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

    /// Makes an empty database and returns its address.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn database(&self) -> Result<String, RigError> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("payroute_{}_{number}", std::process::id());
        self.ask("postgres", &format!("create database {name}"))?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }

    /// What `psql` prints for `sql` in `database`, without headings.
    ///
    /// # Errors
    /// When it cannot be run, or the server refuses.
    pub fn ask(&self, database: &str, sql: &str) -> Result<String, RigError> {
        let port = self.port.to_string();
        let said = Command::new("psql")
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", database])
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .map_err(RigError::io("run psql"))?;
        if said.status.success() {
            Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
        } else {
            Err(RigError::Failed(
                String::from_utf8_lossy(&said.stderr).into_owned(),
            ))
        }
    }
}

/// The folder of `initdb` and `postgres`: the newest that Debian has installed.
fn programs() -> Result<PathBuf, RigError> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .map_err(RigError::io(format!("look for Postgres in {VERSIONS}")))?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("initdb").exists().then_some((version, programs))
        })
        .collect();
    versions.sort();
    let newest = versions.pop().map(|(_, programs)| programs);
    newest.ok_or_else(|| RigError::Failed(format!("no Postgres server in {VERSIONS}")))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|said| said.stdout == b"0\n")
}

/// The server refuses to run as root.
fn as_postgres(program: &Path, arguments: Vec<String>) -> (String, Vec<String>) {
    let program = program.display().to_string();
    if !is_root() {
        return (program, arguments);
    }
    let identity = ["--reuid=postgres", "--regid=postgres", "--clear-groups"].map(ToOwned::to_owned);
    let all = identity.into_iter().chain([program]).chain(arguments);
    ("setpriv".to_owned(), all.collect())
}

fn run(program: &str, arguments: &[String]) -> Result<(), RigError> {
    let said = Command::new(program)
        .args(arguments)
        .output()
        .map_err(RigError::io(format!("run {program}")))?;
    if said.status.success() {
        Ok(())
    } else {
        let why = String::from_utf8_lossy(&said.stderr).into_owned();
        Err(RigError::Failed(format!("{program}: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_server_comes_back_with_its_data() {
        let mut postgres = Postgres::start().unwrap();
        postgres
            .ask(
                "postgres",
                "create table kept (id int); insert into kept values (7)",
            )
            .unwrap();
        postgres.kill();
        assert!(postgres.ask("postgres", "select 1").is_err());
        postgres.restart().unwrap();
        assert_eq!(postgres.ask("postgres", "select id from kept").unwrap(), "7");
    }

    #[test]
    fn every_database_is_empty_and_its_own() {
        let server = Postgres::shared();
        let (one, other) = (server.database().unwrap(), server.database().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with("postgres://postgres@127.0.0.1:"));
    }
}
