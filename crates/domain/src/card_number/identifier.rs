//! Hexadecimal identifiers: they hold any digits by chance, and are no card numbers.
//!
//! One UUID in tens of thousands, and one trace id in thousands, holds a run of digits that looks like a card.
//! They are recognised by their shape, which a card number never has.

/// Where the dashes of a UUID stand.
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];
/// The length of a UUID with its dashes.
const UUID_LEN: usize = 36;

/// The length in bytes of the identifier that starts at byte `at` of `text`; `None` when none starts there, as in the
/// middle of a word.
pub(super) fn len_at(text: &str, at: usize) -> Option<usize> {
    let (before, rest) = text.as_bytes().split_at_checked(at)?;
    if before.last().is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    if is_uuid(rest) {
        Some(UUID_LEN)
    } else {
        hex_len(rest)
    }
}

fn is_uuid(rest: &[u8]) -> bool {
    let Some((uuid, after)) = rest.split_at_checked(UUID_LEN) else {
        return false;
    };
    let shaped = uuid.iter().enumerate().all(|(at, byte)| {
        if UUID_DASHES.contains(&at) {
            *byte == b'-'
        } else {
            byte.is_ascii_hexdigit()
        }
    });
    shaped && !after.first().is_some_and(u8::is_ascii_alphanumeric)
}

/// The length of a word of hexadecimal digits, as hashes and trace ids are: a multiple of eight, from 16 on.
///
/// There must be a letter behind the first character: a magnetic stripe reads `B` and then the card number.
fn hex_len(rest: &[u8]) -> Option<usize> {
    let len = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let word = rest.get(..len)?;
    let is_identifier = len >= 16
        && len.is_multiple_of(8)
        && word.iter().all(u8::is_ascii_hexdigit)
        && word.iter().skip(1).any(u8::is_ascii_alphabetic);
    is_identifier.then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_uuids_are_identifiers() {
        assert_eq!(len_at("41111111-1111-4111-8111-111111111111", 0), Some(36));
        assert_eq!(len_at("4bf92f3577b34da6a3ce929d0e0e4736", 0), Some(32));
        assert_eq!(len_at("trace 00f067aa0ba902b7.", 6), Some(16));
    }

    #[test]
    fn a_card_is_none() {
        for card in [
            "4111111111111111",
            "4111111111111111a",
            "B378282246310005",
            "4111-1111-1111-1111",
        ] {
            assert_eq!(len_at(card, 0), None, "{card}");
        }
    }

    #[test]
    fn the_middle_of_a_word_is_none() {
        assert_eq!(len_at("x4bf92f3577b34da6a3ce929d0e0e4736", 1), None);
    }
}
