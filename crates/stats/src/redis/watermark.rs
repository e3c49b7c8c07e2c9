//! Watermarks: up to when everything that was relayed is certainly in this very Redis.
//!
//! Redis can go back in time: a replica that lagged takes over, or a server comes back with what its disk kept. Then the
//! watermark goes back too; but by itself that shows only when more than one of its moves was lost, and a replica lags
//! for less. So it also says which process of a server it was kept on, and moves only by compare-and-set of both:
//! between any two moves a change of the server shows, whatever was lost with it.

use std::sync::LazyLock;

use jiff::Timestamp;
use redis::Script;

use super::connection::Store;
use super::error::StatsError;
use super::partition_id::PartitionId;

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/watermark.lua")));
static ADVANCE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/advance_watermark.lua")));

/// A watermark as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The time that was kept; `None` when there was none since Redis was empty.
    pub at: Option<Timestamp>,
    /// Whether it was kept on the process that answers now. A Redis that does not tell its processes apart is taken for
    /// the same.
    pub same_server: bool,
    /// Whether the partition has a state; without one it is refilled from the ledger anyway.
    pub known: bool,
    kept: String,
    server: String,
}

impl Store {
    /// The partition's watermark.
    ///
    /// # Errors
    /// When Redis cannot be asked, or holds something else.
    pub async fn watermark(&self, partition: PartitionId) -> Result<Watermark, StatsError> {
        let mut call = READ.prepare_invoke();
        call.key(self.keys.watermark(partition))
            .key(self.keys.state(partition));
        let (kept, known, server) = self.script::<(String, bool, String)>(&call).await?;
        found(kept, known, server)
    }

    /// Moves the watermark from what was `found` to `at`; `false` when it, or the server, is another one by now.
    ///
    /// # Errors
    /// When Redis cannot be asked. It may have been moved all the same.
    pub async fn advance_watermark(
        &self,
        partition: PartitionId,
        found: &Watermark,
        at: Timestamp,
    ) -> Result<bool, StatsError> {
        let mut call = ADVANCE.prepare_invoke();
        call.key(self.keys.watermark(partition))
            .arg(&found.kept)
            .arg(&found.server)
            .arg(format!("{} {}", at.as_microsecond(), found.server));
        self.script(&call).await
    }
}

fn found(kept: String, known: bool, server: String) -> Result<Watermark, StatsError> {
    let corrupt = || StatsError::Corrupt(format!("the watermark is `{}`", kept.escape_debug()));
    let (at, same_server) = if kept.is_empty() {
        (None, true)
    } else {
        let (at, on) = kept.split_once(' ').ok_or_else(corrupt)?;
        let at = at.parse().map_err(|_| corrupt())?;
        (
            Some(Timestamp::from_microsecond(at).map_err(|_| corrupt())?),
            on == server,
        )
    };
    Ok(Watermark {
        at,
        same_server,
        known,
        kept,
        server,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kept: &str) -> Result<(Option<i64>, bool), StatsError> {
        let found = found(kept.to_owned(), true, "abc".to_owned())?;
        Ok((found.at.map(Timestamp::as_microsecond), found.same_server))
    }

    #[test]
    fn a_watermark_tells_its_time_and_whether_the_server_is_the_same() {
        assert_eq!(read("").unwrap(), (None, true));
        assert_eq!(read("12 abc").unwrap(), (Some(12), true));
        assert_eq!(read("12 abd").unwrap(), (Some(12), false));
        for bad in ["12", "x abc", "9223372036854775807 abc"] {
            assert!(matches!(read(bad), Err(StatsError::Corrupt(_))), "{bad}");
        }
    }
}
