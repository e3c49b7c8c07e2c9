//! A Redis Cluster.

use std::process::Command;

use crate::leash::{RigError, wait_for};
use crate::redis::Redis;

/// A cluster's members talk to each other on their port and this much above it.
const BUS_ABOVE: u16 = 10_000;

/// Three masters without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one that keeps nothing on disk but who belongs to it.
    ///
    /// # Errors
    /// When there is no `redis-server` or `redis-cli`, or the members do not find each other.
    pub fn start() -> Result<Self, RigError> {
        let node = || {
            let arguments = [
                "--save",
                "",
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
            ];
            Redis::start_member(BUS_ABOVE, &arguments)
        };
        let cluster = Self {
            nodes: vec![node()?, node()?, node()?],
        };
        let members = cluster
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(members)
            .arg("--cluster-yes")
            .output()
            .map_err(RigError::io("run redis-cli"))?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            return Err(RigError::Failed(String::from_utf8_lossy(&said).into_owned()));
        }
        wait_for("the cluster to agree", || {
            cluster.nodes.iter().all(|node| {
                node.ask(&["CLUSTER", "INFO"])
                    .is_ok_and(|info| info.contains("cluster_state:ok"))
            })
        })?;
        Ok(cluster)
    }

    /// Its members.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Its members, to kill or to restart.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// The addresses of its members.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_share_the_slots() {
        let cluster = RedisCluster::start().unwrap();
        let asked: Vec<String> = ["a", "b", "c", "d"]
            .iter()
            .map(|key| cluster.nodes()[0].ask(&["SET", key, "1"]).unwrap())
            .collect();
        assert!(
            asked.iter().any(|answer| answer.starts_with("MOVED")),
            "{asked:?}"
        );
        assert!(asked.iter().any(|answer| answer == "OK"), "{asked:?}");
    }
}
