//! Rolling statistics of outcomes, for people, alerts and reports: exact counts, and percentiles within 5 %.
//!
//! What routes payments is not kept here: it must be fast and may guess, this may not.

mod counts;
mod latency;
mod rolling;
mod segment;
mod streak;
mod view;

pub use counts::Counts;
pub use latency::Latencies;
pub use rolling::{Recorded, Revision, Sample, Window, bucket_number};
pub use segment::{Caps, Place, Segment, Windows};
pub use streak::{Streaks, Stretch};
pub use view::{BUCKET_SECS, Statistics, View};
