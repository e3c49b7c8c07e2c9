//! Templates of notices: texts with placeholders that were checked when they were read.

use jiff::tz::TimeZone;

use super::occasion::{Occasion, Way};
use crate::catalogue::Catalogue;
use crate::document::field::unknown_name;
use crate::money::Money;
use crate::named::named;

named! {
    /// What can stand in a template.
    pub enum Placeholder {
        /// The amount with its decimals, such as `19.99`.
        Amount = "amount",
        /// The currency, ISO 4217.
        Currency = "currency",
        /// The payment.
        Payment = "payment",
        /// The merchant.
        Merchant = "merchant",
        /// The payment method.
        Method = "method",
        /// What happened, in the customer's language.
        What = "what",
        /// What the customer can do, in the customer's language.
        Todo = "todo",
        /// The day on which it happened, in the time zone of the rules, such as `2026-01-05`.
        Date = "date",
        /// The time of day at which it happened, such as `14:05`.
        Time = "time",
    }
}

/// What one way says in one language.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) way: Way,
    pub(super) locale: Box<str>,
    /// The vendor's name of its own template, where the vendor keeps them.
    pub(super) vendor_template: Option<Box<str>>,
    pub(super) fields: Vec<(Box<str>, Pattern)>,
}

impl Body {
    pub(super) fn render(
        &self,
        occasion: &Occasion<'_>,
        catalogue: &Catalogue,
        timezone: &TimeZone,
    ) -> Vec<(Box<str>, String)> {
        let value = |placeholder| value(placeholder, occasion, catalogue, timezone, &self.locale);
        let fields = self.fields.iter();
        fields
            .map(|(name, pattern)| (name.clone(), pattern.fill(value)))
            .collect()
    }
}

/// What stands in the place of `placeholder`, in the language of the body.
fn value(
    placeholder: Placeholder,
    occasion: &Occasion<'_>,
    catalogue: &Catalogue,
    timezone: &TimeZone,
    locale: &str,
) -> String {
    let text = || {
        occasion.reason.map_or(("", ""), |reason| {
            catalogue.text(reason, occasion.certainty, locale)
        })
    };
    let local = || timezone.to_datetime(occasion.at);
    match placeholder {
        Placeholder::Amount => amount(occasion.amount),
        Placeholder::Currency => occasion.amount.currency().code().to_owned(),
        Placeholder::Payment => occasion.payment.to_string(),
        Placeholder::Merchant => occasion.merchant.to_string(),
        Placeholder::Method => occasion.method.to_owned(),
        Placeholder::What => text().0.to_owned(),
        Placeholder::Todo => text().1.to_owned(),
        Placeholder::Date => local().date().to_string(),
        Placeholder::Time => local().strftime("%H:%M").to_string(),
    }
}

/// The amount without its currency, which some templates name elsewhere.
fn amount(money: Money) -> String {
    let shown = money.to_string();
    shown.split(' ').next().unwrap_or_default().to_owned()
}

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Place(Placeholder),
}

impl Pattern {
    /// Reads `text`, in which `{amount}` is a placeholder, and `{{` and `}}` are braces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                literal.push_str(brace.get(..1).unwrap_or_default());
                rest = after;
                continue;
            }
            let (name, after) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or_else(|| {
                    format!(
                        "a brace stands alone at byte {}: write two for one",
                        text.len() - brace.len()
                    )
                })?;
            let place = Placeholder::from_name(name).ok_or_else(|| {
                let known = Placeholder::ALL.map(Placeholder::as_str);
                format!("unknown placeholder: {}", unknown_name(name, &known))
            })?;
            pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
            pieces.push(Piece::Place(place));
            rest = after;
        }
        literal.push_str(rest);
        pieces.push(Piece::Text(literal.into()));
        Ok(Self(pieces))
    }

    /// Whether `placeholder` stands in it.
    pub(super) fn has(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&Piece::Place(placeholder))
    }

    fn fill(&self, value: impl Fn(Placeholder) -> String) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Place(placeholder) => text.push_str(&value(*placeholder)),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        Pattern::parse(text).map(|pattern| pattern.fill(|placeholder| format!("<{placeholder}>")))
    }

    #[test]
    fn placeholders_are_filled_and_braces_written_twice() {
        assert_eq!(
            filled("付款{amount}元{{{time}}}"),
            Ok("付款<amount>元{<time>}".to_owned())
        );
        assert_eq!(filled(""), Ok(String::new()));
    }

    #[test]
    fn a_wrong_placeholder_is_named() {
        assert_eq!(
            filled("{amont}").unwrap_err(),
            "unknown placeholder: `amont`, did you mean `amount`?"
        );
        assert_eq!(
            filled("付{").unwrap_err(),
            "a brace stands alone at byte 3: write two for one"
        );
        assert_eq!(
            filled("a}").unwrap_err(),
            "a brace stands alone at byte 1: write two for one"
        );
    }

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        let shown = |minor, currency: &str| amount(Money::new(minor, currency.parse().unwrap()).unwrap());
        assert_eq!(shown(1_999, "CNY"), "19.99");
        assert_eq!(shown(5, "CNY"), "0.05");
        assert_eq!(shown(1_999, "JPY"), "1999");
        assert_eq!(shown(1_999, "KWD"), "1.999");
    }

    proptest! {
        #[test]
        fn a_text_with_its_braces_doubled_comes_out_as_it_was(text in "\\PC{0,40}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(filled(&doubled), Ok(text));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[{}a-z付]{0,20}") {
            let _ = Pattern::parse(&text);
        }
    }
}
