//! A server process that does not outlive the test.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Why a server could not be started, or not be handled.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// A program or file failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A program ended with an error, or a server did not answer in time.
    #[error("{0}")]
    Failed(String),
}

impl RigError {
    /// A failure of the operating system while doing `what`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// Starts `$@`, writes its process number to `pid`, and kills it when standard input ends.
const KEEPER: &str = r#"
"$@" >"$RIG_LOG" 2>&1 &
server=$!
echo "$server" >"$RIG_PID"
while read -r _; do :; done
kill -CONT "$server" 2>/dev/null
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
[ -z "$RIG_FOLDER" ] || rm -rf "$RIG_FOLDER"
"#;

/// A running server and its folder.
#[derive(Debug)]
pub struct Leash {
    keeper: Child,
    pid: String,
    folder: PathBuf,
}

impl Leash {
    /// Starts `program` with `arguments` in `folder`; its output goes to `log` there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(folder: &Path, program: &str, arguments: &[String]) -> Result<Self, RigError> {
        Self::keep(folder, program, arguments, None)
    }

    /// As [`Leash::start`]; removes `folder` when the test ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_and_clean(folder: TempDir, program: &str, arguments: &[String]) -> Result<Self, RigError> {
        let path = folder.keep();
        Self::keep(&path, program, arguments, Some(&path))
    }

    fn keep(
        folder: &Path,
        program: &str,
        arguments: &[String],
        clean: Option<&Path>,
    ) -> Result<Self, RigError> {
        let pid_file = folder.join("pid");
        let _none = std::fs::remove_file(&pid_file);
        let keeper = Command::new("bash")
            .args(["-c", KEEPER, "keeper", program])
            .args(arguments)
            .env("RIG_LOG", folder.join("log"))
            .env("RIG_PID", &pid_file)
            .env("RIG_FOLDER", clean.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .spawn()
            .map_err(RigError::io(format!("start {program}")))?;
        let mut leash = Self {
            keeper,
            pid: String::new(),
            folder: folder.to_owned(),
        };
        wait_for(&format!("{program} to start"), || {
            let mut text = String::new();
            let read = File::open(&pid_file).and_then(|mut file| file.read_to_string(&mut text));
            text.trim().clone_into(&mut leash.pid);
            read.is_ok() && text.ends_with('\n')
        })?;
        Ok(leash)
    }

    /// The number of the server's process.
    #[must_use]
    pub fn pid(&self) -> &str {
        &self.pid
    }

    /// What the server has written.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Sends a signal, such as `STOP`, to the server.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, signal: &str) -> Result<(), RigError> {
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &self.pid])
            .status()
            .map_err(RigError::io("run kill"))?;
        if sent.success() {
            Ok(())
        } else {
            Err(RigError::Failed(format!("process {} took no {signal}", self.pid)))
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}

/// Waits until `done`, at most half a minute.
///
/// # Errors
/// When it is not done by then.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Result<(), RigError> {
    const STEP_MS: u64 = 20;
    for _ in 0..30_000 / STEP_MS {
        if done() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(STEP_MS));
    }
    Err(RigError::Failed(format!("waited 30 s in vain for {what}")))
}
