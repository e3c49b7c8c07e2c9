//! Alibaba Cloud's short messages, behind the gateway that checks `ACS3-HMAC-SHA256`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::http::{Reply, Visit};
use super::{ACCESS_KEY, signature};

/// What it remembers.
#[derive(Debug, Default)]
pub(super) struct Aliyun {
    nonces: BTreeSet<String>,
}

fn answer(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "Code": code, "Message": message, "RequestId": "zoo" }),
    )
}

impl Aliyun {
    pub(super) fn answer(&mut self, visit: &Visit, now: Timestamp) -> Reply {
        if !is_signed(visit) {
            return answer(400, "SignatureDoesNotMatch", "Specified signature is not matched");
        }
        let date = visit.header("x-acs-date").parse::<Timestamp>();
        if !date.is_ok_and(|date| (now.as_second() - date.as_second()).abs() <= 900) {
            return answer(
                400,
                "InvalidTimeStamp.Expired",
                "Specified time stamp or date value is expired.",
            );
        }
        if !self
            .nonces
            .insert(visit.header("x-acs-signature-nonce").to_owned())
        {
            return answer(
                400,
                "SignatureNonceUsed",
                "Specified signature nonce was used already.",
            );
        }
        if visit.header("x-acs-action") != "SendSms" || visit.header("x-acs-version") != "2017-05-25" {
            return answer(404, "InvalidAction.NotFound", "Specified api is not found");
        }
        let parameter = |name| visit.parameter(name).unwrap_or_default();
        let number = parameter("PhoneNumbers");
        if number.len() != 11 || !number.starts_with('1') {
            return answer(200, "isv.MOBILE_NUMBER_ILLEGAL", "invalid number");
        }
        if parameter("SignName").is_empty() || !parameter("TemplateCode").starts_with("SMS_") {
            return answer(200, "isv.SMS_TEMPLATE_ILLEGAL", "illegal template");
        }
        let Ok(values) = serde_json::from_str::<Map<String, Value>>(&parameter("TemplateParam")) else {
            return answer(200, "isv.INVALID_JSON_PARAM", "not a JSON object");
        };
        let too_long = |value: &Value| value.as_str().is_none_or(|text| text.chars().count() > 35);
        if values.values().any(too_long) {
            return answer(200, "isv.PARAM_LENGTH_LIMIT", "parameter too long");
        }
        Reply::json(
            200,
            &json!({ "Code": "OK", "Message": "OK", "RequestId": "zoo", "BizId": "1^0" }),
        )
    }
}

fn is_signed(visit: &Visit) -> bool {
    let header = visit.header("authorization");
    let part = |name: &str| {
        let parts = header.trim_start_matches("ACS3-HMAC-SHA256 ").split(',');
        parts
            .filter_map(|part| part.split_once('='))
            .find(|(found, _)| *found == name)
    };
    let (Some((_, id)), Some((_, names)), Some((_, given))) =
        (part("Credential"), part("SignedHeaders"), part("Signature"))
    else {
        return false;
    };
    let must = [
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
    ];
    let signed: Vec<_> = names.split(';').collect();
    let hash = signature::sha256(&visit.body);
    if id != ACCESS_KEY.0
        || !must.iter().all(|name| signed.contains(name))
        || visit.header("x-acs-content-sha256") != hash
    {
        return false;
    }
    let mut pairs: Vec<_> = url::form_urlencoded::parse(visit.query.as_bytes())
        .map(|(name, value)| format!("{}={}", encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    let headers: Vec<_> = signed
        .iter()
        .map(|name| format!("{name}:{}\n", visit.header(name)))
        .collect();
    let canonical = [
        visit.method.as_str(),
        &visit.path,
        &pairs.join("&"),
        &headers.concat(),
        names,
        &hash,
    ];
    let to_sign = format!(
        "ACS3-HMAC-SHA256\n{}",
        signature::sha256(canonical.join("\n").as_bytes())
    );
    given == signature::hex(&signature::hmac(ACCESS_KEY.1.as_bytes(), to_sign.as_bytes()))
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    encoded.collect::<Vec<_>>().concat()
}
