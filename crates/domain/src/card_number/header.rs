//! Card numbers in what comes beside a call: headers end up in traces and in the logs of others.

use super::find;

/// What is not looked at: secrets, which nobody reads, and what tracing makes of random numbers.
const EXEMPT: [&str; 4] = ["authorization", "traceparent", "tracestate", "baggage"];

/// Which part of a header holds a card number, in words that do not repeat it; `None` when none does. `name` is in lower
/// case, `kind` is what such a thing is called where it comes from: "header", "metadata".
#[must_use]
pub fn in_header(kind: &str, name: &str, value: &str) -> Option<String> {
    if EXEMPT.contains(&name) {
        return None;
    }
    if find(name).is_some() {
        return Some(format!("a {kind} key"));
    }
    find(value).map(|_| format!("{kind} `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_named_and_the_number_is_not() {
        let value = in_header("header", "x-order", "4111 1111 1111 1111");
        assert_eq!(value.as_deref(), Some("header `x-order`"));
        let name = in_header("header", "x-4111111111111111", "1");
        assert_eq!(name.as_deref(), Some("a header key"));
    }

    #[test]
    fn secrets_and_traces_are_not_looked_at() {
        assert_eq!(in_header("header", "x-order", "ord_2026_0001"), None);
        assert_eq!(
            in_header("header", "authorization", "Bearer 4111111111111111"),
            None
        );
        let parent = "00-41111111111111110000000000000000-00f067aa0ba902b7-01";
        assert_eq!(in_header("header", "traceparent", parent), None);
    }
}
