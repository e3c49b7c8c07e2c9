//! The `retry-after` header, in seconds or as a date.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::retry::LONGEST_WISH;

/// How long `text` asks to wait, capped; `None` when it is neither form. A date that has passed asks for nothing.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wish = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // More digits than fit are very long.
        text.parse().map_or(LONGEST_WISH, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(SystemTime::from(now)).unwrap_or_default()
    };
    Some(wish.min(LONGEST_WISH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f30_both_forms_are_understood_and_capped() {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        let secs = |text| parse(text, now).map(|wait| wait.as_secs());
        assert_eq!(secs("120"), Some(120));
        assert_eq!(secs(" 0 "), Some(0));
        assert_eq!(secs("Sun, 06 Nov 1994 08:51:37 GMT"), Some(120));
        assert_eq!(secs("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(secs("Mon, 07 Nov 1994 08:49:37 GMT"), Some(3600));
        assert_eq!(secs("99999999999999999999999"), Some(3600));
        for text in ["", "-1", "soon", "1.5"] {
            assert_eq!(secs(text), None, "{text}");
        }
    }
}
