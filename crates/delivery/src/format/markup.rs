//! The markup of each chat, and how to keep what others wrote from being read as markup.
//!
//! The text of a page comes from providers' answers and people's channel names. In a chat it must not call everyone,
//! turn into a link, or end the table it stands in. Slack has entities for that; the Chinese robots have no escape
//! that all their clients honour, so characters with a meaning are shown by their full-width twins: the reader sees
//! the same, the robot sees nothing.

use url::Url;

/// Whose markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// Slack's mrkdwn.
    Slack,
    /// Markdown of `DingTalk`.
    Dingtalk,
    /// `lark_md` of Feishu and Lark.
    Feishu,
    /// Markdown of `WeCom`.
    Wecom,
}

impl Markup {
    /// `text` so that it means itself and nothing else.
    #[must_use]
    pub fn value(self, text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        let mut before = ' ';
        let mut rest = text.chars().peekable();
        while let Some(char) = rest.next() {
            match (self, char) {
                (Self::Slack, '&') => escaped.push_str("&amp;"),
                (Self::Slack, '<') => escaped.push_str("&lt;"),
                (Self::Slack, '>') => escaped.push_str("&gt;"),
                // Within a word it is a letter of a name, such as `ch_42`, that somebody will search for.
                (_, '_')
                    if before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric()) =>
                {
                    escaped.push('_');
                }
                // The colon of an address: without it nothing becomes a link by itself.
                (_, ':') if rest.peek() == Some(&'/') => escaped.push('：'),
                (_, char) => escaped.push(twin(char)),
            }
            before = char;
        }
        escaped
    }

    /// One of our own words, bold.
    #[must_use]
    pub fn bold(self, ours: &str) -> String {
        match self {
            Self::Slack => format!("*{ours}*"),
            Self::Dingtalk | Self::Feishu | Self::Wecom => format!("**{ours}**"),
        }
    }

    /// A link, or just its text when `url` is not a web address.
    #[must_use]
    pub fn link(self, text: &str, url: &str) -> String {
        let text = self.value(text);
        let web = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http"));
        let Some(url) = web else {
            return text;
        };
        let url = plain_address(url.as_str());
        match self {
            Self::Slack => format!("<{}|{text}>", url.replace('&', "&amp;")),
            Self::Dingtalk | Self::Feishu | Self::Wecom => format!("[{text}]({url})"),
        }
    }

    /// Calls `user` by name. Only for ids from the configuration, and only where they look like ids.
    #[must_use]
    pub fn mention(self, user: &str) -> Option<String> {
        let id = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
        if user.is_empty() || !user.chars().all(id) {
            return None;
        }
        match self {
            Self::Slack | Self::Wecom => Some(format!("<@{user}>")),
            Self::Feishu => Some(format!("<at id={user}></at>")),
            Self::Dingtalk => Some(format!("@{user}")),
        }
    }

    /// What stands between two lines so that they are shown as two.
    #[must_use]
    pub const fn line_end(self) -> &'static str {
        match self {
            Self::Dingtalk => "\n\n",
            Self::Slack | Self::Feishu | Self::Wecom => "\n",
        }
    }
}

/// The full-width twin of a character that has a meaning.
const fn twin(char: char) -> char {
    match char {
        '*' => '＊',
        '_' => '＿',
        '~' => '～',
        '`' => '｀',
        '<' => '＜',
        '>' => '＞',
        '[' => '［',
        ']' => '］',
        '#' => '＃',
        '&' => '＆',
        '\\' => '＼',
        '|' => '｜',
        '@' => '＠',
        '\n' | '\r' => ' ',
        other => other,
    }
}

/// An address without the characters that end one in some markup.
fn plain_address(url: &str) -> String {
    let mut plain = String::with_capacity(url.len());
    for char in url.chars() {
        match char {
            '(' | ')' | '|' | '<' | '>' | '[' | ']' | '*' | '`' | '\'' | '"' | '\\' => {
                plain.push('%');
                plain.push_str(&crate::sign::hex(char.to_string().as_bytes()).to_ascii_uppercase());
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Markup; 4] = [Markup::Slack, Markup::Dingtalk, Markup::Feishu, Markup::Wecom];

    #[test]
    fn f41_nobody_is_called_by_a_channel_name() {
        for markup in ALL {
            for text in [
                "<!channel>",
                "<@all>",
                "<at id=all></at>",
                "<@U123>",
                "[x](http://evil)",
                "**x**",
                "`x`",
            ] {
                let value = markup.value(text);
                assert!(
                    !value.contains(['<', '>', '[', ']', '*', '`']),
                    "{markup:?} {value}"
                );
                assert!(!value.contains("://"), "{markup:?} {value}");
            }
        }
        assert!(
            ALL.iter()
                .all(|markup| !markup.value("@13800000000").contains('@'))
        );
    }

    #[test]
    fn a_name_stays_what_it_is() {
        for markup in ALL {
            assert_eq!(
                markup.value("ch_42.eu-west: 5 % (银联)"),
                "ch_42.eu-west: 5 % (银联)"
            );
        }
    }

    #[test]
    fn a_link_leads_to_the_web_or_nowhere() {
        assert_eq!(
            Markup::Slack.link("Console", "https://c.example/a?b=1&c=2|x"),
            "<https://c.example/a?b=1&amp;c=2%7Cx|Console>"
        );
        assert_eq!(
            Markup::Wecom.link("Console", "https://c.example/a(b)"),
            "[Console](https://c.example/a%28b%29)"
        );
        assert_eq!(Markup::Feishu.link("Console", "javascript:alert(1)"), "Console");
    }

    #[test]
    fn only_an_id_can_be_called() {
        assert_eq!(
            Markup::Wecom.mention("zhang.san").as_deref(),
            Some("<@zhang.san>")
        );
        assert_eq!(Markup::Wecom.mention("a><@all"), None);
    }

    proptest! {
        #[test]
        fn f41_no_text_means_anything(text in "[ -~\n<>@&*_`\\[\\]()#|~:/!银\u{1f600}]{0,60}") {
            for markup in ALL {
                let value = markup.value(&text);
                prop_assert!(!value.contains(['<', '>', '*', '`', '~', '[', ']', '\n', '|', '\\', '#']));
                prop_assert!(!value.contains("://"));
                prop_assert!(!value.contains('@'));
                prop_assert!(markup == Markup::Slack || !value.contains('&'));
                let entities = value.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
                prop_assert!(!entities.contains('&'), "{}", value);
            }
        }

        #[test]
        fn f41_no_address_ends_its_link(path in "[ -~]{0,40}") {
            let url = format!("https://c.example/{path}");
            let link = Markup::Dingtalk.link("x", &url);
            prop_assert_eq!(link.matches(')').count(), 1);
            let link = Markup::Slack.link("x", &url);
            prop_assert_eq!(link.matches('|').count(), 1);
            prop_assert_eq!(link.matches('>').count(), 1);
        }
    }
}
