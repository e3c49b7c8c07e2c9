//! A request as it goes on the wire.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// A POST: every receiver we know is one.
#[derive(Clone)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Beside `host`, `content-length` and `user-agent`, which the exchange adds.
    pub headers: HeaderMap,
    /// What.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with a JSON body.
    #[must_use]
    pub fn json(url: Url, body: &serde_json::Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        Self {
            url,
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    /// Adds a header. A value that no header can hold (a newline in it) is left out: what goes in here are our own
    /// signatures and the names of our own messages.
    pub fn header(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The path and the query of a robot's address are its password, and headers hold signatures: neither is printed.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("host", &self.url.host_str())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_request_keeps_the_credentials_of_its_address() {
        let url = Url::parse("https://oapi.dingtalk.com/robot/send?access_token=t0ken").unwrap();
        let printed = format!("{:?}", Request::json(url, &serde_json::json!({ "text": "x" })));
        assert!(printed.contains("oapi.dingtalk.com") && !printed.contains("t0ken"));
    }
}
