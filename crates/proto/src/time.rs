//! Points in time, from the wire and to it.

use jiff::Timestamp;
use prost_types::Timestamp as WireTimestamp;

/// To the wire.
#[must_use]
pub fn to_wire(at: Timestamp) -> WireTimestamp {
    // The wire counts nanoseconds forward also before the epoch, where a timestamp counts them back.
    let (seconds, nanos) = (at.as_second(), at.subsec_nanosecond());
    if nanos < 0 {
        WireTimestamp {
            seconds: seconds - 1,
            nanos: nanos + 1_000_000_000,
        }
    } else {
        WireTimestamp { seconds, nanos }
    }
}

/// From the wire; `None` when the value is outside the range of times (years -9999 to 9999) or not normalised.
#[must_use]
pub fn from_wire(at: &WireTimestamp) -> Option<Timestamp> {
    if !(0..1_000_000_000).contains(&at.nanos) {
        return None;
    }
    Timestamp::new(at.seconds, at.nanos).ok()
}

/// From microseconds since the Unix epoch, as tokens keep them; `None` when out of range.
#[must_use]
pub fn from_micros(at: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_the_wire() {
        let at: Timestamp = "2026-11-20T19:30:00.123456789Z".parse().unwrap();
        assert_eq!(from_wire(&to_wire(at)), Some(at));
    }

    #[test]
    fn a_time_before_the_epoch_survives_the_wire() {
        let at: Timestamp = "1969-12-31T23:59:59.25Z".parse().unwrap();
        let wire = to_wire(at);
        assert_eq!(from_wire(&wire), Some(at), "{wire:?}");
    }

    #[test]
    fn nanoseconds_beyond_a_second_are_refused() {
        assert_eq!(
            from_wire(&WireTimestamp {
                seconds: 1,
                nanos: 1_000_000_000
            }),
            None
        );
    }
}
