//! Names that two who see the same give alike.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// The UUID of version 7 for what `parts` name, begun `at`: its time is that of its beginning, and where others are
/// drawn it is a digest, so that two evaluators give the same thing the same name.
pub(super) fn of(at: Timestamp, parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut chance = [0; 10];
    for (place, byte) in chance.iter_mut().zip(digest) {
        *place = byte;
    }
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_has_one_name_and_where_one_part_ends_counts() {
        let at = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(of(at, &["a", "b"]), of(at, &["a", "b"]));
        assert_ne!(of(at, &["a", "b"]), of(at, &["ab", ""]));
        assert_eq!(of(at, &["a"]).get_version_num(), 7);
    }
}
