//! The body of a page in a chat: lines that are whole by themselves, as many as the vendor takes.

use crate::format::markup::Markup;
use crate::format::words::{self, Words};
use crate::message::Page;
use crate::receiver::Receiver;

/// Lines of a page, and whether they are those that were asked for.
pub(super) struct Body {
    pub(super) lines: Vec<String>,
    /// The template failed, and this is the built-in minimum instead.
    pub(super) template_failed: bool,
}

/// The lines of `page` for `receiver`: by its template, or the built-in ones. When the template fails, the page says
/// what broke and since when, and that the template failed: better than nothing at all.
pub(super) fn of(page: &Page, receiver: &Receiver, markup: Markup) -> Body {
    let rendered = match &receiver.template {
        None => Ok(built_in(page, receiver, markup)),
        Some(template) => template.render(page, markup, &receiver.time_zone),
    };
    match rendered {
        Ok(lines) => Body {
            lines,
            template_failed: false,
        },
        Err(error) => Body {
            lines: minimal(page, receiver, markup, &error.to_string()),
            template_failed: true,
        },
    }
}

fn minimal(page: &Page, receiver: &Receiver, markup: Markup, error: &str) -> Vec<String> {
    let words = Words::of(page.locale);
    let since = words::time(page.since, &receiver.time_zone);
    vec![
        markup.value(&page.what),
        format!("{}: {since}", markup.bold(words.since)),
        markup.value(&format!("({}: {error})", receiver.name)),
    ]
}

fn built_in(page: &Page, receiver: &Receiver, markup: Markup) -> Vec<String> {
    let words = Words::of(page.locale);
    let field = |name: &str, value: &str| format!("{}: {value}", markup.bold(name));
    let mut lines = vec![
        field(words.severity, words.grade(page.severity)),
        field(words.since, &words::time(page.since, &receiver.time_zone)),
    ];
    if let Some(until) = page.until {
        let lasted = words.lasting(page.since, until);
        let until = words::time(until, &receiver.time_zone);
        lines.push(field(words.until, &format!("{until} ({lasted})")));
    }
    let escaped = |list: &[String]| list.iter().map(|line| markup.value(line)).collect();
    let members = page.members.iter();
    let members =
        members.map(|member| format!("[{}] {}", words.status(member.status), markup.value(&member.what)));
    let lists: [(_, Vec<_>); 4] = [
        (words.alerts, members.collect()),
        (words.hits, escaped(&page.hits)),
        (words.reasons, escaped(&page.reasons)),
        (words.done, escaped(&page.done)),
    ];
    for (heading, list) in lists {
        if !list.is_empty() {
            lines.push(markup.bold(heading));
            lines.extend(list.iter().map(|line| format!("- {line}")));
        }
    }
    if !page.links.is_empty() {
        let shown = page.links.iter().map(|link| markup.link(&link.text, &link.url));
        let shown: Vec<_> = shown.collect();
        lines.push(field(words.links, &shown.join("  ")));
    }
    lines
}

/// What may be said at most.
#[derive(Clone, Copy)]
pub(super) enum Room {
    Chars(usize),
    /// Bytes of UTF-8.
    Bytes(usize),
    /// Bytes of the text as a JSON string.
    JsonBytes(usize),
}

impl Room {
    fn holds(self, text: &str) -> bool {
        match self {
            Self::Chars(most) => text.chars().count() <= most,
            Self::Bytes(most) => text.len() <= most,
            Self::JsonBytes(most) => serde_json::Value::from(text).to_string().len() <= most,
        }
    }
}

/// The first `lines` that there is `room` for, as one text, and how many were left out. Whole lines only: half a
/// line could end within a link or between two stars.
///
/// `foot` always stands at the end: whom the page calls must not be cut off.
pub(super) fn fit(lines: &[String], foot: &[String], markup: Markup, room: Room, page: &Page) -> String {
    let words = Words::of(page.locale);
    for kept in (0..=lines.len()).rev() {
        let left_out = lines.len() - kept;
        let mut shown: Vec<_> = lines.iter().take(kept).cloned().collect();
        if left_out > 0 {
            shown.push(format!("… {left_out} {}", words.more));
        }
        shown.extend(foot.iter().cloned());
        let text = shown.join(markup.line_end());
        if room.holds(&text) {
            return text;
        }
    }
    // Only with more people to call than there is room for.
    match foot {
        [] => String::new(),
        _ => fit(lines, &[], markup, room, page),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_left_out_by_whole_lines() {
        let lines = [
            "**one**",
            "[two](https://x/)",
            "a line that is the longest of the three",
        ]
        .map(str::to_owned);
        let foot = ["@138".to_owned()];
        let fitted = fit(&lines, &foot, Markup::Wecom, Room::Bytes(60), &sample::page());
        assert_eq!(fitted, "**one**\n[two](https://x/)\n… 1 more, left out\n@138");
        let fitted = fit(&lines, &foot, Markup::Wecom, Room::Bytes(400), &sample::page());
        assert_eq!(
            fitted,
            "**one**\n[two](https://x/)\na line that is the longest of the three\n@138"
        );
    }

    #[test]
    fn more_people_than_there_is_room_for_do_not_silence_the_page() {
        let lines = ["what broke".to_owned()];
        let foot = vec!["<@somebody>".to_owned(); 100];
        let fitted = fit(&lines, &foot, Markup::Wecom, Room::Bytes(60), &sample::page());
        assert_eq!(fitted, "what broke");
    }

    proptest! {
        #[test]
        fn a_text_never_outgrows_its_room(lines in proptest::collection::vec("[a-z银]{0,40}", 0..30), most in 60_usize..400) {
            for room in [Room::Chars(most), Room::Bytes(most), Room::JsonBytes(most)] {
                let text = fit(&lines, &[], Markup::Dingtalk, room, &sample::page());
                prop_assert!(room.holds(&text));
            }
        }
    }
}
