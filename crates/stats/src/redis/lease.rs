//! Leases: who does what only one may do, until when. Time is the server's.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Script;

use super::connection::Store;
use super::error::StatsError;
use super::partition_id::PartitionId;

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/lease.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));
static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/announce.lua")));

impl Store {
    /// Takes the lease `name` for `owner`, or renews it; `false` when another one has it.
    ///
    /// # Errors
    /// When Redis cannot be asked; the lease may have been taken all the same.
    pub async fn lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<bool, StatsError> {
        self.take(self.keys.lease(name), owner, ttl).await
    }

    /// Gives the lease `name` back when `owner` has it; says whether it had.
    ///
    /// # Errors
    /// When Redis cannot be asked: the lease then ends by itself.
    pub async fn release(&self, name: &str, owner: &str) -> Result<bool, StatsError> {
        self.give_back(self.keys.lease(name), owner).await
    }

    /// Takes or renews the ownership of each of `partitions`; answers in their order.
    pub async fn claim(
        &self,
        partitions: &[PartitionId],
        owner: &str,
        ttl: Duration,
    ) -> Vec<Result<bool, StatsError>> {
        let claims = partitions
            .iter()
            .map(|partition| self.take(self.keys.owner(*partition), owner, ttl));
        join_all(claims).await
    }

    /// Gives the ownership of a partition up; says whether `owner` had it.
    ///
    /// # Errors
    /// When Redis cannot be asked: the ownership then ends by itself.
    pub async fn cede(&self, partition: PartitionId, owner: &str) -> Result<bool, StatsError> {
        self.give_back(self.keys.owner(partition), owner).await
    }

    /// Says that the monitor `owner` lives for `ttl` from now, and counts the monitors that do. No time at all: it
    /// leaves.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn announce(&self, owner: &str, ttl: Duration) -> Result<u32, StatsError> {
        let mut call = ANNOUNCE.prepare_invoke();
        call.key(self.keys.monitors()).arg(owner).arg(millis(ttl));
        self.script(&call).await
    }

    async fn take(&self, key: String, owner: &str, ttl: Duration) -> Result<bool, StatsError> {
        let mut call = LEASE.prepare_invoke();
        call.key(key).arg(owner).arg(millis(ttl).max(1));
        self.script(&call).await
    }

    async fn give_back(&self, key: String, owner: &str) -> Result<bool, StatsError> {
        let mut call = RELEASE.prepare_invoke();
        call.key(key).arg(owner);
        self.script(&call).await
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
