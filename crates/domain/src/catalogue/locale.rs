//! Language tags (BCP 47): which of several languages is closest to the wanted one.

use smallvec::SmallVec;

/// Longest tag that is looked at, in subtags; RFC 5646 allows more, nobody uses them.
const MAX_SUBTAGS: usize = 8;

type Subtags<'t> = SmallVec<[&'t str; MAX_SUBTAGS]>;

/// Whether `tag` has the form of a language tag: a language of 2 to 8 letters, then subtags of 1 to 8 letters or
/// digits, with hyphens between them.
pub(crate) fn is_tag(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let language = subtags.next().unwrap_or_default();
    let fits = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.clone().all(fits)
        && subtags.count() < MAX_SUBTAGS
}

/// Whether two tags are the same one.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// How close `offered` is to `wanted`: the more, the closer; `None` when it is another language.
///
/// The most subtags in common from the beginning go first, then the fewest that nobody asked for: `en-GB` is served
/// by `en` before `en-US`.
pub(crate) fn closeness(offered: &str, wanted: &str) -> Option<(usize, std::cmp::Reverse<usize>)> {
    let (offered, wanted) = (subtags(offered), subtags(wanted));
    let common = offered
        .iter()
        .zip(&wanted)
        .take_while(|(one, other)| one.eq_ignore_ascii_case(other))
        .count();
    (common > 0).then(|| (common, std::cmp::Reverse(offered.len() - common)))
}

/// The subtags of `tag`, with the script of Chinese made plain: who reads traditional characters in Hong Kong is
/// better served by those of Taiwan than by simplified ones. `zh_CN` is read as `zh-CN`.
fn subtags(tag: &str) -> Subtags<'_> {
    let mut subtags: Subtags<'_> = tag.split(['-', '_']).take(MAX_SUBTAGS).collect();
    let is = |at: usize, names: &[&str]| {
        subtags
            .get(at)
            .is_some_and(|subtag: &&str| names.iter().any(|name| subtag.eq_ignore_ascii_case(name)))
    };
    if is(0, &["zh"]) && !is(1, &["hans", "hant"]) {
        let script = if is(1, &["tw", "hk", "mo"]) {
            "Hant"
        } else {
            "Hans"
        };
        subtags.insert(1, script);
    }
    subtags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closest<'t>(offered: &[&'t str], wanted: &str) -> Option<&'t str> {
        offered
            .iter()
            .filter_map(|tag| Some((closeness(tag, wanted)?, *tag)))
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, tag)| tag)
    }

    #[test]
    fn a_region_falls_back_to_its_language_and_not_to_another_region() {
        assert_eq!(closest(&["en-US", "en", "en-AU"], "en-GB"), Some("en"));
        assert_eq!(closest(&["en-US", "en", "en-GB"], "EN_gb"), Some("en-GB"));
        assert_eq!(closest(&["pt-BR"], "pt-PT"), Some("pt-BR"));
        assert_eq!(closest(&["en", "zh-CN"], "fr"), None);
        assert_eq!(closest(&["en"], ""), None);
    }

    #[test]
    fn traditional_and_simplified_chinese_are_told_apart() {
        assert_eq!(closest(&["zh-CN", "zh-TW"], "zh-HK"), Some("zh-TW"));
        assert_eq!(closest(&["zh-CN", "zh-TW"], "zh-Hant"), Some("zh-TW"));
        assert_eq!(closest(&["zh-TW", "zh-CN"], "zh"), Some("zh-CN"));
        assert_eq!(closest(&["zh-TW", "zh-CN"], "zh-SG"), Some("zh-CN"));
        assert_eq!(closest(&["zh-CN", "en"], "zh-TW"), Some("zh-CN"));
    }

    #[test]
    fn a_tag_is_letters_digits_and_hyphens() {
        for tag in ["en", "zh-CN", "zh-Hans-CN", "es-419", "sr-Latn"] {
            assert!(is_tag(tag), "{tag}");
        }
        for tag in [
            "",
            "e",
            "zh_CN",
            "en-",
            "-en",
            "42",
            "englishman",
            "en-toolongtag",
            "en US",
        ] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
