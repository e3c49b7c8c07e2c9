//! Receivers: where messages go, and how they look there.
//!
//! [`settings`] is what stands in the configuration; a [`Receiver`] is that with its secrets read, its addresses,
//! keys and template checked, so that nothing but the network is left to fail when it is needed.

pub mod settings;
mod target;

use std::fmt;

use jiff::tz::TimeZone;
use url::Url;

pub use settings::Settings;
pub use target::{Alertmanager, Chat, Hook, OfficialAccount, Pagerduty, Sms, Target, Vendor};

use crate::format::template::{InvalidTemplate, Template};
use crate::locale::Locale;
use crate::secret::MissingSecret;
use crate::sign::standard_webhooks::InvalidKey;
use crate::throttle::Rate;

/// A receiver that is ready to be sent to.
pub struct Receiver {
    /// Its name, unique among receivers.
    pub name: String,
    /// The language that pages for it are written in.
    pub locale: Locale,
    /// The time zone that times are shown in.
    pub time_zone: TimeZone,
    /// The receiver that gets what this one does not accept.
    pub fallback: Option<String>,
    /// The body of its pages, when it is not the built-in one.
    pub template: Option<Template>,
    /// How much it takes.
    pub rate: Rate,
    /// Where it is.
    pub target: Target,
}

/// Names and kinds only: addresses and keys are secrets.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("name", &self.name)
            .field("vendor", &self.target.vendor())
            .finish_non_exhaustive()
    }
}

/// Why settings make no receiver. No secret is repeated.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReceiver {
    /// A secret is missing.
    #[error("`{field}` of receiver `{receiver}` is missing")]
    Secret {
        /// The receiver.
        receiver: String,
        /// The setting.
        field: &'static str,
        /// Why.
        #[source]
        source: MissingSecret,
    },
    /// An address is none.
    #[error("`{field}` of receiver `{receiver}` is not an address")]
    Address {
        /// The receiver.
        receiver: String,
        /// The setting.
        field: &'static str,
        /// Why.
        #[source]
        source: url::ParseError,
    },
    /// A signing key is none.
    #[error("a signing key of receiver `{receiver}` is not one")]
    Key {
        /// The receiver.
        receiver: String,
        /// Why.
        #[source]
        source: InvalidKey,
    },
    /// Nothing to sign or route with.
    #[error("receiver `{receiver}` needs at least one of `{field}`")]
    NoKey {
        /// The receiver.
        receiver: String,
        /// The setting.
        field: &'static str,
    },
    /// The template cannot be used.
    #[error("the template of receiver `{receiver}` is wrong")]
    Template {
        /// The receiver.
        receiver: String,
        /// Why.
        #[source]
        source: InvalidTemplate,
    },
    /// A template where programs read, and the body is fixed.
    #[error("receiver `{receiver}` takes no template: only chats do")]
    NotAChat {
        /// The receiver.
        receiver: String,
    },
    /// A time zone that does not exist.
    #[error("receiver `{receiver}` asks for the time zone `{time_zone}`, which does not exist")]
    TimeZone {
        /// The receiver.
        receiver: String,
        /// What was asked for.
        time_zone: String,
    },
    /// A rate that lets nothing through.
    #[error(
        "receiver `{receiver}` would never be sent to: its rate must allow 1 to 1000 messages in at least 1 s"
    )]
    Rate {
        /// The receiver.
        receiver: String,
    },
    /// A name that is empty.
    #[error("a receiver has no name")]
    NoName,
}

impl Receiver {
    /// Reads the secrets of `settings` and checks the rest.
    ///
    /// # Errors
    /// When a secret is missing or anything else in them is wrong.
    pub fn open(settings: &Settings) -> Result<Self, InvalidReceiver> {
        let receiver = || settings.name.clone();
        if settings.name.trim().is_empty() {
            return Err(InvalidReceiver::NoName);
        }
        let time_zone = settings.time_zone.as_deref().unwrap_or("UTC");
        let template = settings.template.as_deref().map(Template::parse).transpose();
        let template = template.map_err(|source| InvalidReceiver::Template {
            receiver: receiver(),
            source,
        })?;
        let target = Target::open(&settings.name, &settings.to)?;
        if template.is_some() && !target.vendor().is_chat() {
            return Err(InvalidReceiver::NotAChat { receiver: receiver() });
        }
        let rate = settings.rate.unwrap_or_else(|| target.vendor().usual_rate());
        if !rate.is_usable() {
            return Err(InvalidReceiver::Rate { receiver: receiver() });
        }
        Ok(Self {
            name: receiver(),
            locale: settings.locale,
            time_zone: TimeZone::get(time_zone).map_err(|_| InvalidReceiver::TimeZone {
                receiver: receiver(),
                time_zone: time_zone.to_owned(),
            })?,
            fallback: settings.fallback.clone(),
            template,
            rate,
            target,
        })
    }
}

/// An address as written, or what is wrong with it.
fn address(receiver: &str, field: &'static str, text: &str) -> Result<Url, InvalidReceiver> {
    Url::parse(text).map_err(|source| InvalidReceiver::Address {
        receiver: receiver.to_owned(),
        field,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(yaml: &str) -> Result<Receiver, String> {
        let settings: Settings = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        Receiver::open(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn every_vendor_can_be_configured() {
        let targets = [
            (
                "webhook: {url: 'https://a.example/h', keys: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}",
                Vendor::Webhook,
            ),
            ("alertmanager: {url: 'https://a.example/h'}", Vendor::Alertmanager),
            ("pagerduty: {routing_keys: [r0]}", Vendor::Pagerduty),
            (
                "slack: {url: 'https://hooks.slack.com/services/T/B/x'}",
                Vendor::Slack,
            ),
            (
                "dingtalk: {url: 'https://oapi.dingtalk.com/robot/send?access_token=t', secret: SECx, mobiles: ['138']}",
                Vendor::Dingtalk,
            ),
            (
                "feishu: {url: 'https://open.feishu.cn/open-apis/bot/v2/hook/x', secret: s}",
                Vendor::Feishu,
            ),
            (
                "wecom: {url: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k'}",
                Vendor::Wecom,
            ),
            (
                "aliyun_sms: {access_key_id: i, access_key_secret: s, sign_name: 商户}",
                Vendor::AliyunSms,
            ),
            ("wechat: {app_id: wx1, app_secret: s}", Vendor::Wechat),
        ];
        for (to, vendor) in targets {
            let receiver = open(&format!("name: a\nto:\n  {to}")).unwrap();
            assert_eq!(receiver.target.vendor(), vendor);
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_repeated() {
        let wrong = [
            (
                "name: a\nto: {slack: {url: 'hooks.slack.com/s3cret'}}",
                "`url` of receiver `a`",
            ),
            (
                "name: a\nto: {slack: {url: {file: /nowhere}}}",
                "`url` of receiver `a` is missing",
            ),
            (
                "name: a\nto: {slack: {url: 'https://x/', channel: '#a'}}",
                "channel",
            ),
            ("name: a\nto: {teams: {url: 'https://x/'}}", "teams"),
            ("name: a\nto: {webhook: {url: 'https://x/', keys: []}}", "`keys`"),
            (
                "name: a\nto: {webhook: {url: 'https://x/', keys: [s3cret]}}",
                "signing key",
            ),
            ("name: a\nto: {pagerduty: {routing_keys: []}}", "`routing_keys`"),
            (
                "name: a\ntime_zone: Mars/Base\nto: {slack: {url: 'https://x/'}}",
                "Mars/Base",
            ),
            (
                "name: a\nrate: {messages: 0, per_secs: 60}\nto: {slack: {url: 'https://x/'}}",
                "rate",
            ),
            (
                "name: a\ntemplate: '{{ whom }}'\nto: {slack: {url: 'https://x/'}}",
                "template",
            ),
            (
                "name: a\ntemplate: x\nto: {pagerduty: {routing_keys: [r]}}",
                "only chats",
            ),
            ("name: ''\nto: {slack: {url: 'https://x/'}}", "no name"),
        ];
        for (yaml, expected) in wrong {
            let error = open(yaml).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_printed_receiver_shows_no_address() {
        let receiver = open("name: a\nto: {slack: {url: 'https://hooks.slack.com/s3cret'}}").unwrap();
        let printed = format!("{receiver:?} {:?}", receiver.target);
        assert!(
            !printed.contains("s3cret") && printed.contains("Slack"),
            "{printed}"
        );
    }
}
