//! Finding what somebody means by one or two words.

use domain::catalogue::{Catalogue, Code, Reason};
use domain::diagnostic::nearest;
use serde::Serialize;

/// Most names that are suggested.
const MAX_NEAR: usize = 8;

/// Shortest text that is looked for inside of names: shorter ones are in most of them.
const MIN_PART: usize = 3;

/// What the words mean.
pub(super) enum Found<'c> {
    /// These codes, of one provider or of several.
    Codes(Vec<&'c Code>),
    /// A provider, with codes of its own.
    Provider(&'c str),
    /// A canonical reason.
    Reason(Reason),
    /// Nothing.
    Nothing(Near<'c>),
}

/// What comes near to words that mean nothing.
#[derive(Serialize)]
pub(super) struct Near<'c> {
    /// The provider the words name, where they name one. Its unlisted codes are treated as unknown outcomes.
    pub(super) provider: Option<&'c str>,
    /// Providers and codes with a name like it.
    pub(super) near: Vec<String>,
}

/// What `words` mean: a provider and its code, a reason, a code of whatever provider, or a provider.
pub(super) fn find<'c>(catalogue: &'c Catalogue, words: &[&str]) -> Found<'c> {
    match words {
        [provider, code] => match catalogue.find(provider, code) {
            Some(code) => Found::Codes(vec![code.as_ref()]),
            None => Found::Nothing(near_code(catalogue, provider, code)),
        },
        [word] => match Reason::from_name(word) {
            Some(reason) => Found::Reason(reason),
            None => anywhere(catalogue, word),
        },
        _ => Found::Nothing(Near {
            provider: None,
            near: Vec::new(),
        }),
    }
}

/// `word` as a code of any provider, else as a provider, whose codes are meant then.
fn anywhere<'c>(catalogue: &'c Catalogue, word: &str) -> Found<'c> {
    for is_it in [is_spelling as fn(&str, &str) -> bool, str::eq_ignore_ascii_case] {
        let codes: Vec<&Code> = all(catalogue)
            .filter(|code| spellings(code).any(|spelling| is_it(spelling, word)))
            .collect();
        if !codes.is_empty() {
            return Found::Codes(codes);
        }
    }
    let own = all(catalogue)
        .map(|code| &*code.provider)
        .find(|provider| *provider == word);
    if let Some(provider) = own {
        return Found::Provider(provider);
    }
    let names = all(catalogue)
        .flat_map(spellings)
        .chain(Reason::ALL.map(Reason::as_str));
    Found::Nothing(Near {
        provider: None,
        near: like(word, &names.chain(catalogue.providers()).collect::<Vec<_>>()),
    })
}

fn is_spelling(spelling: &str, word: &str) -> bool {
    spelling == word
}

fn near_code<'c>(catalogue: &'c Catalogue, provider: &str, code: &str) -> Near<'c> {
    let known = catalogue.providers();
    let Some(known) = known.iter().copied().find(|name| *name == provider) else {
        return Near {
            provider: None,
            near: like(provider, &known),
        };
    };
    let own = all(catalogue).filter(|entry| &*entry.provider == known);
    Near {
        provider: Some(known),
        near: like(code, &own.flat_map(spellings).collect::<Vec<_>>()),
    }
}

fn all(catalogue: &Catalogue) -> impl Iterator<Item = &Code> {
    catalogue.codes().iter().map(AsRef::as_ref)
}

fn spellings(code: &Code) -> impl Iterator<Item = &str> {
    std::iter::once(&code.code)
        .chain(&code.aliases)
        .map(AsRef::as_ref)
}

/// The names of `known` that are like `word`: the one with the fewest slips, then those that hold it or a part of it.
fn like(word: &str, known: &[&str]) -> Vec<String> {
    let wanted = word.to_lowercase();
    let holds = |name: &&str| {
        let name = name.to_lowercase();
        let long_enough = wanted.len() >= MIN_PART && name.len() >= MIN_PART;
        long_enough && (name.contains(&wanted) || wanted.contains(&name))
    };
    let mut near: Vec<String> = Vec::new();
    let closest = nearest(word, known.iter().copied());
    for name in closest.into_iter().chain(known.iter().copied().filter(holds)) {
        if near.len() < MAX_NEAR && !near.iter().any(|earlier| earlier == name) {
            near.push(name.to_owned());
        }
    }
    near
}
