//! What each vendor means by its answers.

use std::time::Duration;

use serde_json::Value;

use super::{Cause, TEXT_CHARS, Verdict};
use crate::exchange::Answer;
use crate::format::clip;
use crate::receiver::Vendor;

/// How long to leave a vendor alone that says "too much" without saying how long.
pub(super) const fn rest(vendor: Vendor) -> Duration {
    Duration::from_secs(match vendor {
        // "A backoff of a few minutes."
        Vendor::Pagerduty => 180,
        // The robot is mute for ten minutes.
        Vendor::Dingtalk => 600,
        Vendor::Webhook
        | Vendor::Alertmanager
        | Vendor::Slack
        | Vendor::Feishu
        | Vendor::Wecom
        | Vendor::AliyunSms
        | Vendor::Wechat => 60,
    })
}

/// What a vendor's error code asks for.
#[derive(Clone, Copy)]
enum Meaning {
    /// Its own trouble.
    Again,
    /// Too much.
    Slower,
    /// Ours, until somebody changes something.
    Never,
    /// The access token is old.
    AccessToken,
}

/// Judges an answer with a 2xx status.
pub(super) fn judge(vendor: Vendor, answer: &Answer) -> Verdict {
    let status = answer.status.as_u16();
    let not_the_vendor = || Verdict::Retry {
        cause: Cause::NotTheVendor(status),
        wait: None,
    };
    match vendor {
        Vendor::Webhook | Vendor::Alertmanager => Verdict::Delivered,
        Vendor::Pagerduty if status == 202 => Verdict::Delivered,
        Vendor::Slack if status == 200 && answer.body == b"ok" => Verdict::Delivered,
        Vendor::Pagerduty | Vendor::Slack => not_the_vendor(),
        Vendor::Dingtalk | Vendor::Feishu | Vendor::Wecom | Vendor::AliyunSms | Vendor::Wechat => {
            match code(vendor, answer) {
                Some(code) if code == success(vendor) => Verdict::Delivered,
                Some(_) => explained(vendor, answer).unwrap_or_else(not_the_vendor),
                None => not_the_vendor(),
            }
        }
    }
}

/// The verdict on an answer that holds the vendor's own error code; `None` when it holds none.
pub(super) fn explained(vendor: Vendor, answer: &Answer) -> Option<Verdict> {
    let code = code(vendor, answer).filter(|code| code != success(vendor))?;
    let text = text(answer);
    let meaning = meaning(vendor, &code);
    if matches!(meaning, Meaning::AccessToken) {
        return Some(Verdict::Retry {
            cause: Cause::AccessToken(format!("{code}: {text}")),
            wait: None,
        });
    }
    let cause = Cause::Vendor { code, text };
    Some(match meaning {
        Meaning::Slower => Verdict::RateLimited {
            cause,
            wait: rest(vendor),
        },
        Meaning::Never => Verdict::Refused(cause),
        Meaning::Again | Meaning::AccessToken => Verdict::Retry { cause, wait: None },
    })
}

/// What a vendor's code says when all is well.
const fn success(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::AliyunSms => "OK",
        _ => "0",
    }
}

/// The vendor's code in the body, as text: some write numbers, some strings, some now this, now that.
fn code(vendor: Vendor, answer: &Answer) -> Option<String> {
    let names: &[&str] = match vendor {
        Vendor::Dingtalk | Vendor::Wecom | Vendor::Wechat => &["errcode"],
        // The older of its answers spell it differently.
        Vendor::Feishu => &["code", "StatusCode"],
        Vendor::AliyunSms => &["Code"],
        Vendor::Webhook | Vendor::Alertmanager | Vendor::Pagerduty | Vendor::Slack => return None,
    };
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let code = names.iter().find_map(|name| body.get(name))?;
    match code {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(clip::one_line(text, TEXT_CHARS)),
        _ => None,
    }
}

/// The vendor's words.
fn text(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let words = ["errmsg", "msg", "StatusMessage", "Message"];
    let words = words.iter().find_map(|name| body.get(name)?.as_str());
    clip::one_line(words.unwrap_or_default(), TEXT_CHARS)
}

/// What an error code means. Codes that are not listed: a robot's refusal is for good, for nearly all of them say
/// that its settings are wrong; a page that was wrongly given up goes to the fallback receiver, while one that is
/// wrongly repeated for a day helps nobody.
fn meaning(vendor: Vendor, code: &str) -> Meaning {
    match (vendor, code) {
        // "System busy."
        (Vendor::Dingtalk | Vendor::Wecom | Vendor::Wechat, "-1") => Meaning::Again,
        // More than 20 in a minute, or too fast. 310000 (keyword, signature or network) waits for a person.
        (Vendor::Dingtalk, "130101" | "410100")
        // The throttle around full and half hours. 19021 (signature), 19022 (network), 19024 (keyword) and 9499 (a
        // body it does not understand) wait for a person.
        | (Vendor::Feishu, "11232")
        | (Vendor::Wecom, "45009" | "45033")
        | (Vendor::Wechat, "45009" | "45011") => Meaning::Slower,
        (Vendor::Wechat, "40001" | "40014" | "41001" | "42001") => Meaning::AccessToken,
        (Vendor::AliyunSms, code) => sms_meaning(code),
        _ => Meaning::Never,
    }
}

/// `isp.` is the provider's trouble, `isv.` ours; the gateway before it has words of its own.
fn sms_meaning(code: &str) -> Meaning {
    if code == "isv.BUSINESS_LIMIT_CONTROL" || code.starts_with("Throttling") {
        return Meaning::Slower;
    }
    let again = [
        "ServiceUnavailable",
        "InternalError",
        "isp.SYSTEM_ERROR",
        "isp.GATEWAY_ERROR",
        "isp.UNKNOWN",
    ];
    // The signature of the next attempt has a fresh time and nonce.
    let stale = ["InvalidTimeStamp.Expired", "SignatureNonceUsed"];
    if again.contains(&code) || stale.contains(&code) {
        return Meaning::Again;
    }
    Meaning::Never
}

#[cfg(test)]
mod tests {
    use super::super::judge;
    use super::*;
    use http::StatusCode;
    use jiff::Timestamp;

    fn verdict(vendor: Vendor, status: u16, body: &str) -> Verdict {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: body.as_bytes().to_vec(),
        };
        judge(vendor, &answer, Timestamp::UNIX_EPOCH)
    }

    fn word(vendor: Vendor, status: u16, body: &str) -> &'static str {
        match verdict(vendor, status, body) {
            Verdict::Delivered => "delivered",
            Verdict::Retry { .. } => "retry",
            Verdict::RateLimited { .. } => "slower",
            Verdict::Refused(_) => "refused",
        }
    }

    /// Vendor, status, body, and what it comes to.
    const TABLE: &[(Vendor, u16, &str, &str)] = &[
        (Vendor::Webhook, 200, "", "delivered"),
        (Vendor::Webhook, 204, "", "delivered"),
        (Vendor::Webhook, 301, "", "refused"),
        (Vendor::Webhook, 400, "no", "refused"),
        (Vendor::Webhook, 408, "", "retry"),
        (Vendor::Webhook, 410, "", "refused"),
        (Vendor::Webhook, 429, "", "slower"),
        (Vendor::Webhook, 503, "", "retry"),
        (Vendor::Alertmanager, 200, "errcode", "delivered"),
        (Vendor::Pagerduty, 202, "{}", "delivered"),
        (Vendor::Pagerduty, 200, "{}", "retry"),
        (Vendor::Pagerduty, 400, r#"{"status":"invalid event"}"#, "refused"),
        (Vendor::Slack, 200, "ok", "delivered"),
        (Vendor::Slack, 200, "<html>login</html>", "retry"),
        (Vendor::Slack, 403, "action_prohibited", "refused"),
        (Vendor::Slack, 410, "channel_is_archived", "refused"),
        (
            Vendor::Dingtalk,
            200,
            r#"{"errcode":0,"errmsg":"ok"}"#,
            "delivered",
        ),
        (Vendor::Dingtalk, 200, r#"{"errcode":"0"}"#, "delivered"),
        (
            Vendor::Dingtalk,
            200,
            r#"{"errcode":310000,"errmsg":"sign not match"}"#,
            "refused",
        ),
        (Vendor::Dingtalk, 200, r#"{"errcode":130101}"#, "slower"),
        (Vendor::Dingtalk, 200, r#"{"errcode":-1}"#, "retry"),
        (Vendor::Dingtalk, 200, "", "retry"),
        (Vendor::Dingtalk, 200, r#"{"errcode":null}"#, "retry"),
        (Vendor::Feishu, 200, r#"{"code":0}"#, "delivered"),
        (Vendor::Feishu, 200, r#"{"StatusCode":0}"#, "delivered"),
        (
            Vendor::Feishu,
            200,
            r#"{"code":19021,"msg":"sign match fail"}"#,
            "refused",
        ),
        (Vendor::Feishu, 200, r#"{"code":11232}"#, "slower"),
        (
            Vendor::Feishu,
            400,
            r#"{"code":9499,"msg":"Bad Request"}"#,
            "refused",
        ),
        (Vendor::Wecom, 200, r#"{"errcode":0}"#, "delivered"),
        (Vendor::Wecom, 200, r#"{"errcode":93000}"#, "refused"),
        (Vendor::Wecom, 200, r#"{"errcode":45009}"#, "slower"),
        (Vendor::AliyunSms, 200, r#"{"Code":"OK"}"#, "delivered"),
        (
            Vendor::AliyunSms,
            200,
            r#"{"Code":"isv.MOBILE_NUMBER_ILLEGAL"}"#,
            "refused",
        ),
        (
            Vendor::AliyunSms,
            200,
            r#"{"Code":"isv.BUSINESS_LIMIT_CONTROL"}"#,
            "slower",
        ),
        (Vendor::AliyunSms, 400, r#"{"Code":"Throttling.User"}"#, "slower"),
        (
            Vendor::AliyunSms,
            400,
            r#"{"Code":"SignatureDoesNotMatch"}"#,
            "refused",
        ),
        (
            Vendor::AliyunSms,
            503,
            r#"{"Code":"ServiceUnavailable"}"#,
            "retry",
        ),
        (Vendor::Wechat, 200, r#"{"errcode":0,"msgid":1}"#, "delivered"),
        (Vendor::Wechat, 200, r#"{"errcode":43004}"#, "refused"),
        (Vendor::Wechat, 200, r#"{"errcode":42001}"#, "retry"),
    ];

    #[test]
    fn f31_every_vendor_is_judged_by_its_own_criterion() {
        for (vendor, status, body, expected) in TABLE {
            assert_eq!(
                word(*vendor, *status, body),
                *expected,
                "{vendor:?} {status} {body}"
            );
        }
    }

    #[test]
    fn a_refusal_carries_the_vendors_words_on_one_line() {
        let refused = verdict(Vendor::Slack, 403, "action_prohibited\n<script>");
        let Verdict::Refused(cause) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            cause.to_string(),
            "the receiver answered with error 403: action_prohibited <script>"
        );
    }

    #[test]
    fn a_robot_that_was_muted_is_left_alone_for_ten_minutes() {
        let slower = verdict(Vendor::Dingtalk, 200, r#"{"errcode":130101}"#);
        assert!(matches!(slower, Verdict::RateLimited { wait, .. } if wait.as_secs() == 600));
    }
}
