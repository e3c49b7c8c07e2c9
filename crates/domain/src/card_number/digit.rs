//! What a character is to a card number: a digit of some script, something to look through, or an end.

/// The zero of every script that has decimal digits; the other nine follow it. Unicode 17.
const ZEROS: [char; 76] = [
    '0',
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{a8d0}',
    '\u{a900}',
    '\u{a9d0}',
    '\u{a9f0}',
    '\u{aa50}',
    '\u{abf0}',
    '\u{ff10}',
    '\u{104a0}',
    '\u{10d30}',
    '\u{10d40}',
    '\u{11066}',
    '\u{110f0}',
    '\u{11136}',
    '\u{111d0}',
    '\u{112f0}',
    '\u{11450}',
    '\u{114d0}',
    '\u{11650}',
    '\u{116c0}',
    '\u{116d0}',
    '\u{116da}',
    '\u{11730}',
    '\u{118e0}',
    '\u{11950}',
    '\u{11bf0}',
    '\u{11c50}',
    '\u{11d50}',
    '\u{11da0}',
    '\u{11de0}',
    '\u{11f50}',
    '\u{16a60}',
    '\u{16ac0}',
    '\u{16b50}',
    '\u{16d70}',
    '\u{1ccf0}',
    '\u{1d7ce}',
    '\u{1d7d8}',
    '\u{1d7e2}',
    '\u{1d7ec}',
    '\u{1d7f6}',
    '\u{1e140}',
    '\u{1e2f0}',
    '\u{1e4f0}',
    '\u{1e5f1}',
    '\u{1e950}',
    '\u{1fbf0}',
];

/// What a character is to a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A decimal digit, 0 to 9.
    Digit(u8),
    /// A space, a dash or an invisible character: may stand between digits.
    Separator,
    /// Anything else: ends the number.
    Other,
}

impl Kind {
    /// What `character` is.
    pub(super) fn of(character: char) -> Self {
        if let Some(value) = value_of(character) {
            Self::Digit(value)
        } else if character.is_whitespace() || is_dash(character) || is_invisible(character) {
            Self::Separator
        } else {
            Self::Other
        }
    }
}

/// Whether `text` has at least `count` digits.
pub(super) fn has_at_least(text: &str, count: usize) -> bool {
    let digits = if text.is_ascii() {
        text.bytes().filter(u8::is_ascii_digit).count()
    } else {
        text.chars()
            .filter(|character| value_of(*character).is_some())
            .count()
    };
    digits >= count
}

fn value_of(character: char) -> Option<u8> {
    if character.is_ascii() {
        return character.to_digit(10).and_then(|value| u8::try_from(value).ok());
    }
    let above = ZEROS.partition_point(|zero| *zero <= character);
    let zero = *ZEROS.get(above.checked_sub(1)?)?;
    let value = u32::from(character).checked_sub(u32::from(zero))?;
    u8::try_from(value).ok().filter(|value| *value < 10)
}

const fn is_dash(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zero_is_followed_by_its_nine_digits() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            for value in 0..10_u8 {
                let digit = char::from_u32(u32::from(zero) + u32::from(value)).unwrap();
                assert!(digit.is_numeric(), "{digit:?}");
                assert_eq!(Kind::of(digit), Kind::Digit(value), "{digit:?}");
            }
        }
    }

    #[test]
    fn a_fraction_is_no_digit() {
        assert_eq!(Kind::of('½'), Kind::Other);
        assert_eq!(Kind::of('万'), Kind::Other);
    }
}
