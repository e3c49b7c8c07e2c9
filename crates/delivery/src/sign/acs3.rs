//! `ACS3-HMAC-SHA256`: version 3 of the request signature of Alibaba Cloud.

use jiff::Timestamp;
use url::Url;

use crate::secret::Secret;
use crate::wire::Request;

/// Name of the scheme.
const SCHEME: &str = "ACS3-HMAC-SHA256";

/// What a call is, beside its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Name of the operation.
    pub action: &'a str,
    /// Version of the interface, a date.
    pub version: &'a str,
    /// A text that no other call has within a quarter of an hour.
    pub nonce: &'a str,
    /// The time of this call.
    pub now: Timestamp,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its public half.
    pub id: String,
    /// Its secret half.
    pub secret: Secret,
}

/// The signed request of `call` at `endpoint`, its `parameters` in the query, where the interface wants them.
#[must_use]
pub fn request(endpoint: &Url, call: Call<'_>, parameters: &[(&str, &str)], key: &AccessKey) -> Request {
    let mut pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let query: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = query.join("&");

    let mut url = endpoint.clone();
    url.set_query(Some(&query));
    let body_hash = super::sha256_hex(b"");
    let date = call.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Sorted by name, as the signature wants them.
    let headers = [
        ("host", host_of(&url)),
        ("x-acs-action", call.action.to_owned()),
        ("x-acs-content-sha256", body_hash.clone()),
        ("x-acs-date", date),
        ("x-acs-signature-nonce", call.nonce.to_owned()),
        ("x-acs-version", call.version.to_owned()),
    ];
    let canonical_headers = headers
        .each_ref()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .concat();
    let signed_headers = headers.each_ref().map(|(name, _)| *name).join(";");
    let canonical = format!(
        "POST\n{}\n{query}\n{canonical_headers}\n{signed_headers}\n{body_hash}",
        url.path()
    );
    let to_sign = format!("{SCHEME}\n{}", super::sha256_hex(canonical.as_bytes()));
    let signature = super::hex(&super::hmac_sha256(
        key.secret.expose().as_bytes(),
        to_sign.as_bytes(),
    ));

    let mut request = Request {
        url,
        headers: http::HeaderMap::new(),
        body: Vec::new(),
    };
    for (name, value) in &headers[1..] {
        request.header(name, value);
    }
    let authorization = format!(
        "{SCHEME} Credential={},SignedHeaders={signed_headers},Signature={signature}",
        key.id
    );
    request.header("authorization", &authorization);
    request.header("accept", "application/json");
    request
}

/// The `host` header of a request to `url`.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Percent-encoding of RFC 3986: all but letters, digits, `-`, `_`, `.` and `~`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&super::hex(&[byte]).to_ascii_uppercase());
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the vendor's page on the signature.
    #[test]
    fn the_known_vector_comes_out() {
        let request = request(
            &Url::parse("https://ecs.cn-shanghai.aliyuncs.com/").unwrap(),
            Call {
                action: "RunInstances",
                version: "2014-05-26",
                nonce: "3156853299f313e23d1673dc12e1703d",
                now: "2023-10-26T10:22:32Z".parse().unwrap(),
            },
            &[
                ("RegionId", "cn-shanghai"),
                ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
            ],
            &AccessKey {
                id: "YourAccessKeyId".to_owned(),
                secret: Secret::new("YourAccessKeySecret"),
            },
        );
        assert_eq!(
            request.headers["authorization"],
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;\
             x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn what_is_no_plain_character_is_encoded() {
        assert_eq!(encode("a b+c*~{\"银\"}"), "a%20b%2Bc%2A~%7B%22%E9%93%B6%22%7D");
    }
}
