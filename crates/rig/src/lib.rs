//! Servers for tests on free loopback ports, stopped when the test ends: real Postgres and Redis, and a [`Zoo`] of
//! receivers that plays every vendor we send to.
//!
//! Nothing here is part of a running Payroute. Every real server lives in a folder of its own under the temporary directory
//! and is watched by a small shell that holds a pipe to the test: when the test process ends, however it ends, the
//! pipe breaks, and the shell kills the server and removes the folder.

mod leash;
pub mod port;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod redis;
pub mod redis_cluster;
pub mod zoo;

pub use leash::{Leash, RigError};
pub use postgres::Postgres;
pub use program::Program;
pub use proxy::{Proxy, Trouble};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use zoo::Zoo;
