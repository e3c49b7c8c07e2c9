//! Finds card numbers in texts, so that they can be refused: no card number ever enters.
//!
//! A card number is a run of 13 to 19 digits that passes the Luhn check *and* starts like one. Luhn alone passes
//! every tenth string of digits, so numeric order numbers would be refused at random. A caller whose own numbers
//! look like cards can begin them with a digit that no card begins with, such as the year, or use names like
//! `ord_7f3a`. A letter before or after the digits does not hide a card.

mod digit;
mod header;
mod identifier;

use std::collections::VecDeque;
use std::ops::Range;

use digit::Kind;

pub use header::in_header;

/// What whoever sent one is told of the field that holds it.
pub const REFUSED: &str = "holds what looks like a card number; card numbers are not accepted";

/// The shortest card number, in digits.
const MIN_DIGITS: usize = 13;
/// The longest card number, in digits.
const MAX_DIGITS: usize = 19;

/// Where in `text` a card number stands, in bytes; `None` when there is none. Of several, one that ends first.
///
/// Between its digits, spaces, dashes and invisible characters are looked through, and the digits of every script
/// count. Longer runs of digits and hexadecimal identifiers are not taken apart: any number hides in them by chance.
#[must_use]
pub fn find(text: &str) -> Option<Range<usize>> {
    // Nearly every text ends here.
    if !digit::has_at_least(text, MIN_DIGITS) {
        return None;
    }
    let mut run = Run::default();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let kind = Kind::of(character);
        let identifier = identifier::len_at(text, at);
        if let (Kind::Digit(value), None) = (kind, identifier) {
            run.push(value, at..at + character.len_utf8());
            continue;
        }
        if let Some(card) = run.card() {
            return Some(card);
        }
        match (kind, identifier) {
            (_, Some(len)) => {
                run.clear();
                while characters.next_if(|(next, _)| *next < at + len).is_some() {}
            }
            (Kind::Separator, None) => run.end_group(),
            (Kind::Digit(_) | Kind::Other, None) => run.clear(),
        }
    }
    run.card()
}

/// The last digits that were read, in groups: a card number is made of whole groups.
#[derive(Default)]
struct Run {
    digits: VecDeque<Digit>,
    in_group: bool,
}

struct Digit {
    value: u8,
    at: Range<usize>,
    starts_group: bool,
}

impl Run {
    fn push(&mut self, value: u8, at: Range<usize>) {
        if self.digits.len() == MAX_DIGITS {
            self.digits.pop_front();
        }
        self.digits.push_back(Digit {
            value,
            at,
            starts_group: !self.in_group,
        });
        self.in_group = true;
    }

    fn end_group(&mut self) {
        self.in_group = false;
    }

    fn clear(&mut self) {
        self.digits.clear();
        self.in_group = false;
    }

    /// The longest card number that ends with the group that was read last.
    fn card(&self) -> Option<Range<usize>> {
        if !self.in_group {
            return None;
        }
        let spare = self.digits.len().checked_sub(MIN_DIGITS)?;
        let end = self.digits.back()?.at.end;
        self.digits
            .iter()
            .enumerate()
            .take(spare + 1)
            .filter(|(_, digit)| digit.starts_group)
            .find(|(from, _)| is_card(self.digits.iter().skip(*from).map(|digit| digit.value)))
            .map(|(_, digit)| digit.at.start..end)
    }
}

/// Whether 13 to 19 digits are those of a card.
fn is_card(digits: impl DoubleEndedIterator<Item = u8> + Clone) -> bool {
    let beginning = digits
        .clone()
        .take(4)
        .fold(0_u16, |number, digit| number * 10 + u16::from(digit));
    is_issued(beginning) && passes_luhn(digits)
}

/// Whether a scheme issues cards whose numbers begin with these four digits.
const fn is_issued(beginning: u16) -> bool {
    matches!(
        beginning,
        4000..=4999                                 // Visa
        | 2221..=2720 | 5100..=5599                 // Mastercard
        | 3400..=3499 | 3700..=3799                 // American Express
        | 6200..=6299 | 8100..=8199                 // UnionPay
        | 6011 | 6440..=6599                        // Discover
        | 3528..=3589                               // JCB
        | 3000..=3099 | 3600..=3699 | 3800..=3999   // Diners Club
        | 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 // Maestro
    )
}

/// Whether the digits pass the check of ISO/IEC 7812.
fn passes_luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, doubled)| match (digit, doubled) {
            (digit, false) => u32::from(digit),
            (digit, true) if digit > 4 => u32::from(digit) * 2 - 9,
            (digit, true) => u32::from(digit) * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Option<&str> {
        find(text).map(|at| &text[at])
    }

    #[test]
    fn the_test_cards_of_every_scheme_are_found() {
        for card in [
            "4111111111111111",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "6200000000000005",
            "8171999927660000",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "36227206271667",
            "6759649826438453",
        ] {
            assert_eq!(found(card), Some(card));
        }
    }

    #[test]
    fn a_card_is_found_where_it_stands() {
        assert_eq!(find("card 4111 1111 1111 1111 please"), Some(5..24));
        assert_eq!(found("pan=4111-1111-1111-1111;"), Some("4111-1111-1111-1111"));
        assert_eq!(found("pan:4111111111111111"), Some("4111111111111111"));
        assert_eq!(found("card4111111111111111x"), Some("4111111111111111"));
        assert_eq!(
            found("order 20261123 4111 1111 1111 1111"),
            Some("4111 1111 1111 1111")
        );
        assert_eq!(
            found("4111 1111 1111 1111 12/29 123"),
            Some("4111 1111 1111 1111")
        );
    }

    #[test]
    fn the_magnetic_stripe_is_found_by_its_card_number() {
        assert_eq!(
            found("%B4111111111111111^DOE/JANE^29121010000"),
            Some("4111111111111111")
        );
        assert_eq!(
            found("%B378282246310005^DOE/JANE^29121010000"),
            Some("378282246310005")
        );
        assert_eq!(found(";4111111111111111=29121010000?"), Some("4111111111111111"));
    }

    #[test]
    fn digits_of_other_scripts_and_invisible_characters_hide_nothing() {
        assert_eq!(
            found("４１１１１１１１１１１１１１１１"),
            Some("４１１１１１１１１１１１１１１１")
        );
        assert!(find("٤١١١ ١١١١ ١١١١ ١١١١").is_some());
        assert!(find("4111\u{200b}1111\u{200d}1111\u{feff}1111").is_some());
        assert!(find("4111\u{2011}1111\u{3000}1111\u{a0}1111").is_some());
    }

    #[test]
    fn what_merchants_call_their_orders_is_no_card() {
        for harmless in [
            "",
            "ord_411111111111",
            "ord_7f3a",
            "4111111111111112",
            "1111111111111117",
            "20261123054054000012",
            "2026112322001422001234567890",
            "4200001234202611231234567890",
            "+86 138 0013 8000",
            "41111111-1111-4111-8111-111111111111",
            "4111111111111111a111111111111111",
            "a1b24111111111111111d3f4",
            "d41d8cd98f00b204e9800998ecf8427e",
            "10.0.0.1 10.0.0.2 10.0.0.3",
            "2026-11-23T05:40:54.123456789Z",
        ] {
            assert_eq!(found(harmless), None, "{harmless}");
        }
    }

    /// The digit that makes `digits` pass the Luhn check when it is put behind them.
    fn check_digit(digits: &[u8]) -> u8 {
        (0..10)
            .find(|&check| passes_luhn(digits.iter().copied().chain([check])))
            .unwrap()
    }

    prop_compose! {
        fn card_numbers()(
            beginning in prop::sample::select(vec!["4", "51", "55", "2221", "2720", "34", "37", "62", "81", "6011", "65",
                "3528", "3589", "30", "36", "38", "39", "6759"]),
            rest in prop::collection::vec(0..10_u8, 8..18),
        ) -> Vec<u8> {
            let mut digits: Vec<u8> = beginning.bytes().map(|digit| digit - b'0').chain(rest).take(18).collect();
            while digits.len() < 12 {
                digits.push(0);
            }
            digits.push(check_digit(&digits));
            digits
        }
    }

    proptest! {
        #[test]
        fn a_card_is_found_whatever_stands_between_its_digits(
            digits in card_numbers(),
            gaps in prop::collection::vec(prop::sample::select(vec!["", "", "", " ", "-", "\u{200b}", " - ", "\u{2013}"]), 19),
            before in prop::sample::select(vec!["", "card ", "№:", "a", "支付"]),
            after in prop::sample::select(vec!["", " ", ".", "x ", "。"]),
        ) {
            let mut text = before.to_owned();
            for (digit, gap) in digits.iter().zip(&gaps) {
                text.push(char::from(b'0' + digit));
                text.push_str(gap);
            }
            text.push_str(after);
            prop_assert!(find(&text).is_some(), "{text:?}");
        }

        #[test]
        fn fewer_than_13_digits_are_never_a_card(text in "([0-9]{1,4}[ -]){0,3}") {
            prop_assert!(text.chars().filter(char::is_ascii_digit).count() < 13);
            prop_assert_eq!(find(&text), None);
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            if let Some(at) = find(&text) {
                prop_assert!(text.get(at).is_some());
            }
        }

        #[test]
        fn no_mix_of_digits_and_strange_characters_is_too_strange(
            text in "[0-9４٤a-f\\- \u{200b}\u{1d7ce}é]{0,60}",
        ) {
            if let Some(at) = find(&text) {
                prop_assert!(text.get(at).is_some());
            }
        }

        #[test]
        fn an_identifier_is_never_a_card(uuid in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") {
            prop_assert_eq!(find(&uuid), None);
        }
    }
}
