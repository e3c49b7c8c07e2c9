//! Texts made fit to be shown: one line, no longer than asked, nothing invisible, no card number.

use domain::card_number;

use crate::message::Page;

/// Longest line of a page, in characters.
const LINE_CHARS: usize = 300;
/// Labels of one alert, and the longest of them in characters.
const LABELS: usize = 16;
const LABEL_CHARS: usize = 100;

/// How much of a page is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Lines of each list.
    pub lines: usize,
    /// Alerts that are told one by one.
    pub members: usize,
}

impl Bounds {
    /// More than anybody reads.
    pub const USUAL: Self = Self {
        lines: 20,
        members: 50,
    };
    /// From the usual ones to those that fit everywhere.
    pub const NARROWING: [Self; 5] = [
        Self::USUAL,
        Self {
            lines: 10,
            members: 20,
        },
        Self {
            lines: 5,
            members: 10,
        },
        Self { lines: 3, members: 3 },
        Self { lines: 1, members: 0 },
    ];
}

/// `text` on one line of at most `chars` characters; what is cut off leaves a `…`.
///
/// Control characters become spaces. Characters that are not seen but turn the text around are left out: with them
/// a provider's message could show one address and be another. A card number should never get this far; if one
/// does, it goes no further.
#[must_use]
pub fn one_line(text: &str, chars: usize) -> String {
    let mut line: String = text
        .chars()
        .filter(|char| !is_invisible(*char))
        .map(|char| {
            if char.is_control() || is_line_break(char) {
                ' '
            } else {
                char
            }
        })
        // What is beyond this cannot be shown anyway, and need not be searched.
        .take(chars.saturating_add(64))
        .collect();
    while let Some(found) = card_number::find(&line) {
        line.replace_range(found, "***");
    }
    let line = line.trim();
    if line.chars().count() <= chars {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(chars.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

const fn is_line_break(char: char) -> bool {
    matches!(char, '\u{2028}' | '\u{2029}')
}

/// Zero-width and directional characters.
const fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// `page` within `bounds`, each text cut to a length, and how many of its alerts are not in it.
///
/// The address of a link is left as it is: cut, it would lead elsewhere. One that is too long is left out.
#[must_use]
pub fn page(page: &Page, bounds: Bounds) -> (Page, usize) {
    let mut page = page.clone();
    page.alert = one_line(&page.alert, LABEL_CHARS);
    page.what = one_line(&page.what, LINE_CHARS);
    for list in [&mut page.hits, &mut page.reasons, &mut page.done] {
        list.truncate(bounds.lines);
        for line in list {
            *line = one_line(line, LINE_CHARS);
        }
    }
    page.links.retain(|link| link.url.len() <= 1000);
    page.links.truncate(bounds.lines);
    for link in &mut page.links {
        link.text = one_line(&link.text, LABEL_CHARS);
    }
    page.labels = labels(&page.labels);
    let left_out = page.members.len().saturating_sub(bounds.members);
    page.members.truncate(bounds.members);
    for member in &mut page.members {
        member.what = one_line(&member.what, LINE_CHARS);
        member.labels = labels(&member.labels);
    }
    (page, left_out)
}

type Labels = std::collections::BTreeMap<String, String>;

fn labels(labels: &Labels) -> Labels {
    let bounded = labels.iter().take(LABELS);
    bounded
        .map(|(name, value)| (one_line(name, LABEL_CHARS), one_line(value, LABEL_CHARS)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(one_line("成功率低于阈值", 4), "成功率…");
        assert_eq!(one_line("成功率低", 4), "成功率低");
        assert_eq!(one_line("a\nb\tc\u{2028}d\u{202e}e", 20), "a b c de");
    }

    #[test]
    fn a_card_number_goes_no_further() {
        let line = one_line("declined: 4111 1111 1111 1111 (do not honour)", 100);
        assert!(!line.contains("1111"), "{line}");
        assert!(line.starts_with("declined: ***"));
    }

    proptest! {
        #[test]
        fn a_line_is_a_line_of_its_length(text in any::<String>(), chars in 1_usize..80) {
            let line = one_line(&text, chars);
            prop_assert!(line.chars().count() <= chars);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
