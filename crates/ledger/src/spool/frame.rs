//! How a record stands in a segment: a head of 20 bytes, then the payload.
//!
//! | bytes | what |
//! |---|---|
//! | 0..3 | the mark, `FF 'P' 'S'` |
//! | 3 | the version of the form |
//! | 4..8 | the length of the payload, little-endian like all numbers here |
//! | 8..16 | the record's number |
//! | 16..20 | CRC-32 over the bytes 3..16 and the payload |
//!
//! The mark begins with a byte that no UTF-8 text holds, so the payload, which is JSON, never looks like a head: after
//! damage the next mark is the next record.

use std::ops::Range;

/// The version of the form that this release writes, and the only one that it reads.
pub(super) const VERSION: u8 = 1;

/// Bytes before the payload.
pub(super) const HEAD_BYTES: usize = 20;

const MARK: [u8; 3] = [0xff, b'P', b'S'];

/// What stands somewhere in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A record as it was written.
    Record {
        /// Its number.
        number: u64,
        /// Where the whole of it stands, head and payload.
        frame: Range<usize>,
    },
    /// A record of a form that a later release writes.
    Newer {
        /// The version of the form.
        version: u8,
    },
    /// Bytes that are no record, before one that is, or of the length of one.
    Damaged(Range<usize>),
    /// The beginning of a record that was never written to its end, or room that was never filled.
    Torn(Range<usize>),
}

/// The head that belongs before `payload`; `None` when the payload is longer than the form allows, 4 GiB.
pub(super) fn head(number: u64, payload: &[u8]) -> Option<[u8; HEAD_BYTES]> {
    let len = u32::try_from(payload.len()).ok()?;
    let mut head = [0; HEAD_BYTES];
    let fields = [
        (0, MARK.as_slice()),
        (3, &[VERSION]),
        (4, &len.to_le_bytes()),
        (8, &number.to_le_bytes()),
        (16, &checksum(VERSION, len, number, payload).to_le_bytes()),
    ];
    for (at, field) in fields {
        head.get_mut(at..at + field.len())?.copy_from_slice(field);
    }
    Some(head)
}

/// The payload of the record `number` in its `frame`; `None` when the frame does not hold it.
pub(super) fn payload(number: u64, frame: &[u8]) -> Option<&[u8]> {
    match parse(frame) {
        Parsed::Good { head, payload } if head.number == number && head.version == VERSION => Some(payload),
        _ => None,
    }
}

/// Everything that stands in a segment, in order, without a gap.
pub(super) fn scan(segment: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < segment.len() {
        let rest = segment.get(at..).unwrap_or_default();
        let (piece, len) = match parse(rest) {
            Parsed::Good { head, payload } => good(&head, at, payload.len()),
            parsed => {
                let len = next_record(rest).unwrap_or(rest.len());
                let place = at..at + len;
                let torn =
                    len == rest.len() && (parsed == Parsed::Short || rest.iter().all(|byte| *byte == 0));
                let piece = if torn {
                    Piece::Torn(place)
                } else {
                    Piece::Damaged(place)
                };
                (piece, len)
            }
        };
        pieces.push(piece);
        at += len;
    }
    pieces
}

fn good(head: &Head, at: usize, payload: usize) -> (Piece, usize) {
    let len = HEAD_BYTES + payload;
    let piece = if head.version == VERSION {
        Piece::Record {
            number: head.number,
            frame: at..at + len,
        }
    } else {
        Piece::Newer {
            version: head.version,
        }
    };
    (piece, len)
}

/// How far behind the beginning of `bytes` the next whole record begins.
fn next_record(bytes: &[u8]) -> Option<usize> {
    let marks = bytes.windows(MARK.len()).enumerate().skip(1);
    marks
        .filter(|(_, window)| *window == MARK)
        .map(|(at, _)| at)
        .find(|at| matches!(bytes.get(*at..).map(parse), Some(Parsed::Good { .. })))
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    version: u8,
    number: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed<'a> {
    Good {
        head: Head,
        payload: &'a [u8],
    },
    /// It begins like a record and ends before the record does.
    Short,
    Bad,
}

fn parse(bytes: &[u8]) -> Parsed<'_> {
    let begun = bytes.iter().zip(MARK).all(|(byte, mark)| *byte == mark);
    if !begun {
        return Parsed::Bad;
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Parsed::Short;
    };
    let [
        _,
        _,
        _,
        version,
        l0,
        l1,
        l2,
        l3,
        n0,
        n1,
        n2,
        n3,
        n4,
        n5,
        n6,
        n7,
        c0,
        c1,
        c2,
        c3,
    ] = *head;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    let number = u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
    let Some(payload) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
        return Parsed::Short;
    };
    if checksum(version, len, number, payload) == u32::from_le_bytes([c0, c1, c2, c3]) {
        let head = Head { version, number };
        Parsed::Good { head, payload }
    } else {
        Parsed::Bad
    }
}

fn checksum(version: u8, len: u32, number: u64, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&[version]);
    sum.update(&len.to_le_bytes());
    sum.update(&number.to_le_bytes());
    sum.update(payload);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(number: u64, text: &str) -> Vec<u8> {
        let mut bytes = head(number, text.as_bytes()).unwrap().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    }

    fn record(number: u64, frame: Range<usize>) -> Piece {
        Piece::Record { number, frame }
    }

    #[test]
    fn what_is_framed_is_found_again() {
        let bytes = [framed(7, "{}"), framed(8, "{\"a\":1}")].concat();
        assert_eq!(scan(&bytes), [record(7, 0..22), record(8, 22..49)]);
        assert_eq!(payload(8, &bytes[22..49]), Some(b"{\"a\":1}".as_slice()));
        assert_eq!(payload(7, &bytes[22..49]), None);
    }

    #[test]
    fn a_record_that_ends_early_is_torn_wherever_it_ends() {
        let whole = framed(1, "{\"a\":1}");
        for len in 1..whole.len() {
            assert_eq!(scan(&whole[..len]), [Piece::Torn(0..len)], "{len} bytes");
        }
    }

    #[test]
    fn room_that_was_never_filled_is_torn() {
        let bytes = [framed(1, "{}"), vec![0; 64]].concat();
        assert_eq!(scan(&bytes), [record(1, 0..22), Piece::Torn(22..86)]);
    }

    #[test]
    fn any_changed_byte_costs_its_record_and_no_other() {
        let bytes = [framed(1, "{}"), framed(2, "{\"a\":1}"), framed(3, "{}")].concat();
        for at in 22..49 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let expected = [record(1, 0..22), Piece::Damaged(22..49), record(3, 49..71)];
            assert_eq!(scan(&damaged), expected, "byte {at}");
        }
    }

    #[test]
    fn a_last_record_of_its_full_length_that_does_not_add_up_is_damaged() {
        let mut bytes = [framed(1, "{}"), framed(2, "{}")].concat();
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(scan(&bytes), [record(1, 0..22), Piece::Damaged(22..44)]);
    }

    #[test]
    fn a_later_form_is_told_from_damage() {
        let mut bytes = framed(1, "{}");
        bytes[3] = 2;
        let sum = checksum(2, 2, 1, b"{}").to_le_bytes();
        bytes[16..20].copy_from_slice(&sum);
        assert_eq!(scan(&bytes), [Piece::Newer { version: 2 }]);
    }
}
