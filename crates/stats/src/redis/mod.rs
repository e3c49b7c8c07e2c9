//! Exact statistics in Redis: a view of the ledger that any number of processes shares.
//!
//! Outcomes wait in one stream for each of 64 partitions. The owner of a partition reads its stream and applies what
//! it read by one script, which moves the offset by compare-and-set: two owners, a lost reply or a call that was sent
//! twice cost work, never a wrong count. The ledger is the truth; a partition whose state is missing is *unknown*, not
//! empty, and is refilled from the ledger under a new epoch.
//!
//! Works on Redis 7, Valkey and Redis Cluster, without modules. No call takes longer than [`CALL_LIMIT`].

mod apply;
mod changes;
mod connection;
mod error;
mod evidence;
mod keys;
mod lease;
mod load;
pub mod metric;
mod partition_id;
pub mod reader;
mod rebuild;
mod snapshot;
mod state;
mod stream;
mod watermark;

pub use apply::{Applied, Step};
pub use changes::{Changes, Many};
pub use connection::{CALL_LIMIT, Eviction, Settings, Store};
pub use error::StatsError;
pub use evidence::RedisLog;
pub use keys::{BadPrefix, DEFAULT_PREFIX};
pub use load::PartitionState;
pub use partition_id::{PARTITIONS, PartitionId};
pub use rebuild::Rebuild;
pub use snapshot::{BadSnapshot, PartitionSnapshot};
pub use state::{Epoch, State, StreamId};
pub use stream::{Entry, Page, Poison, Tail};
pub use watermark::Watermark;
