//! What stands in the configuration about a receiver.

use serde::Deserialize;

use crate::locale::Locale;
use crate::secret::SecretSource;
use crate::throttle::Rate;

/// One receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its name, unique among receivers.
    pub name: String,
    /// The language that pages for it are written in; English when it is not said.
    #[serde(default)]
    pub locale: Locale,
    /// The time zone of the times shown, by its IANA name; UTC when it is not said.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The receiver that gets what this one does not accept.
    #[serde(default)]
    pub fallback: Option<String>,
    /// The body of its pages, in the receiver's own markup, with places such as `{{ what }}`; see
    /// [`Template`](crate::format::template::Template).
    #[serde(default)]
    pub template: Option<String>,
    /// How much it takes; what its vendor is known to take when it is not said.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Where it is.
    pub to: To,
}

/// Where a receiver is, by its vendor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// A webhook signed by Standard Webhooks 1.0.0, with our own body.
    Webhook(Webhook),
    /// A webhook with the body of Alertmanager's, version 4; signed where it has keys.
    Alertmanager(Alertmanager),
    /// `PagerDuty`'s Events API, version 2.
    Pagerduty(Pagerduty),
    /// An incoming webhook of Slack.
    Slack(Robot),
    /// A custom robot of `DingTalk`.
    Dingtalk(Dingtalk),
    /// A custom bot of Feishu or Lark.
    Feishu(Feishu),
    /// A group robot of `WeCom`.
    Wecom(Robot),
    /// The short message service of Alibaba Cloud, for customer notices.
    AliyunSms(AliyunSms),
    /// Template messages of a WeChat official account, for customer notices.
    Wechat(Wechat),
}

/// Settings of a signed webhook.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its address.
    pub url: SecretSource,
    /// The keys that sign, `whsec_` or `whsk_`; all of them, so that an old one can be exchanged for a new one.
    pub keys: Vec<SecretSource>,
}

/// Settings of a webhook with Alertmanager's body.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Its address.
    pub url: SecretSource,
    /// The keys that sign; none, as with Alertmanager itself, is allowed.
    #[serde(default)]
    pub keys: Vec<SecretSource>,
    /// Where the console is, as receivers of this body expect to be told.
    #[serde(default)]
    pub external_url: Option<String>,
}

/// Settings of `PagerDuty`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagerduty {
    /// Its address, where it is not the usual one.
    #[serde(default)]
    pub url: Option<SecretSource>,
    /// The routing key, and after it those of before: a resolve must go by the key of its trigger.
    pub routing_keys: Vec<SecretSource>,
    /// Where the console is.
    #[serde(default)]
    pub client_url: Option<String>,
}

/// Settings of Slack and `WeCom`, whose address is all that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Robot {
    /// Its address: whoever knows it can post.
    pub url: SecretSource,
    /// Ids of the users that its pages call.
    #[serde(default)]
    pub users: Vec<String>,
}

/// Settings of a `DingTalk` robot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dingtalk {
    /// Its address, with its access token.
    pub url: SecretSource,
    /// The secret it signs with; none where the robot is secured by keyword or network.
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// The word that every message must hold, where the robot is secured by keyword.
    #[serde(default)]
    pub keyword: Option<String>,
    /// Telephone numbers of those whom its pages call.
    #[serde(default)]
    pub mobiles: Vec<String>,
}

/// Settings of a Feishu or Lark bot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feishu {
    /// Its address: whoever knows it can post.
    pub url: SecretSource,
    /// The secret it signs with; none where the bot is secured by keyword or network.
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// The word that every message must hold, where the bot is secured by keyword.
    #[serde(default)]
    pub keyword: Option<String>,
    /// Ids of the users that its pages call.
    #[serde(default)]
    pub users: Vec<String>,
}

/// Settings of the short message service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliyunSms {
    /// Its address, where it is not the usual one.
    #[serde(default)]
    pub url: Option<SecretSource>,
    /// The public half of the access key.
    pub access_key_id: String,
    /// Its secret half.
    pub access_key_secret: SecretSource,
    /// The approved signature that stands before every message.
    pub sign_name: String,
}

/// Settings of a WeChat official account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wechat {
    /// The address of the interface, where it is not the usual one.
    #[serde(default)]
    pub url: Option<SecretSource>,
    /// Id of the account.
    pub app_id: String,
    /// Its secret.
    pub app_secret: SecretSource,
}
