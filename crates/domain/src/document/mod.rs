//! A YAML document as a tree in which every value knows its place.
//!
//! Configuration is read in two steps: the text becomes this tree, and the tree is read field by field
//! ([`field`]). That is what lets a loader report everything that is wrong at once, each with line and column,
//! where deriving would stop at the first.

pub mod field;

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Spanned, UserMessageFormatter};

use crate::diagnostic::Diagnostic;

/// Deepest nesting that is read. Far above any sensible document, far below what endangers the stack.
const MAX_DEPTH: usize = 48;

/// Most values that are read, aliases counted each time they are used.
const MAX_VALUES: usize = 100_000;

/// Where in its document a value stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1; 0 when not known.
    pub line: u32,
    /// Column, from 1; 0 when not known.
    pub column: u32,
}

impl From<serde_saphyr::Location> for Position {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: u32::try_from(location.line()).unwrap_or(0),
            column: u32::try_from(location.column()).unwrap_or(0),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands; for an alias, where the alias stands.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// What a document can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`; `yes` and `NO` are texts, as Norway would have it.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number with decimals, or one too large for an integer.
    Decimal(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in the order of the document, duplicates included.
    Table(Vec<Entry>),
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub at: Position,
    /// The key.
    pub key: String,
    /// What it is set to.
    pub node: Node,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(number) => write!(f, "the number {number}"),
            Self::Decimal(number) => write!(f, "the number {number}"),
            Self::Text(text) => write!(f, "the text \"{}\"", shortened(text)),
            Self::List(_) => f.write_str("a list"),
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

/// At most 40 characters of `text`: a diagnostic shows a value, it does not repeat a file.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Reads `text`; `file` is the name under which diagnostics report it.
///
/// # Errors
/// When `text` is not YAML, nests too deeply or holds too much. What the values mean is not looked at.
pub fn parse(text: &str, file: &str) -> Result<Node, Diagnostic> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: MAX_VALUES },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_VALUES },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        // `0622` is a card prefix, not 622.
        leading_zero_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map(Position::from).unwrap_or_default();
        Diagnostic {
            file: file.into(),
            line: at.line,
            column: at.column,
            field: String::new(),
            message: syntax_message(&error),
        }
    })
}

/// What the parser says, on one line and without the place, which the diagnostic carries itself.
fn syntax_message(error: &serde_saphyr::Error) -> String {
    let rendered = error.render_with_formatter(&UserMessageFormatter);
    let text = rendered.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or(text);
    format!("not readable as YAML: {text}")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            at: spanned.referenced.into(),
            value: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number above i64 is only ever shown in a diagnostic"
    )]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Decimal(number as f64), Value::Integer))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Decimal(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut lines: A) -> Result<Value, A::Error> {
        let mut table = Vec::new();
        while let Some(key) = lines.next_key::<Spanned<String>>()? {
            table.push(Entry {
                at: key.referenced.into(),
                key: key.value,
                node: lines.next_value()?,
            });
        }
        Ok(Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn values_and_keys_know_their_places() {
        let root = parse("a: 1\nb:\n  - x\n  - {c: true}\n", "f").unwrap();
        let Value::Table(lines) = &root.value else {
            panic!("{root:?}")
        };
        assert_eq!((lines[0].at, lines[0].node.at), (at(1, 1), at(1, 4)));
        let Value::List(items) = &lines[1].node.value else {
            panic!("{root:?}")
        };
        assert_eq!(items[0].at, at(3, 5));
        let Value::Table(inner) = &items[1].value else {
            panic!("{root:?}")
        };
        assert_eq!(
            (inner[0].at, &inner[0].node.value),
            (at(4, 6), &Value::Flag(true))
        );
    }

    #[test]
    fn norway_and_card_prefixes_stay_texts() {
        let root = parse("[NO, yes, 0622, \"62\"]", "f").unwrap();
        let Value::List(items) = root.value else {
            panic!("not a list")
        };
        assert!(
            items.iter().all(|item| matches!(item.value, Value::Text(_))),
            "{items:?}"
        );
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let diagnostic = parse("a: [1, 2\nb: }\n", "policy.yaml").unwrap_err();
        assert_eq!(&*diagnostic.file, "policy.yaml");
        assert!(diagnostic.line > 0, "{diagnostic}");
        assert!(
            diagnostic.message.starts_with("not readable as YAML: "),
            "{diagnostic}"
        );
        assert!(!diagnostic.message.contains('\n'));
    }

    #[test]
    fn nesting_without_end_is_refused() {
        assert!(parse(&"[".repeat(100_000), "f").is_err());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..8 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            text = format!("{text}a{i}: &a{i} [{refs}]\n");
        }
        assert!(parse(&text, "f").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
            let _ = parse(&text, "f");
        }
    }
}
