//! Where a receiver is, with everything read and checked.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::settings::{self, Robot, To};
use super::{InvalidReceiver, address};
use crate::secret::{Secret, SecretSource};
use crate::sign::acs3::AccessKey;
use crate::sign::standard_webhooks::SigningKey;
use crate::throttle::Rate;

/// `PagerDuty`'s events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// Alibaba Cloud's short messages.
const ALIYUN_SMS: &str = "https://dysmsapi.aliyuncs.com/";
/// WeChat's interface for official accounts.
const WECHAT: &str = "https://api.weixin.qq.com/";

/// Whose protocol a receiver speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Standard Webhooks with our body.
    Webhook,
    /// Alertmanager's body.
    Alertmanager,
    /// `PagerDuty`.
    Pagerduty,
    /// Slack.
    Slack,
    /// `DingTalk`.
    Dingtalk,
    /// Feishu and Lark.
    Feishu,
    /// `WeCom`.
    Wecom,
    /// Short messages of Alibaba Cloud.
    AliyunSms,
    /// WeChat official accounts.
    Wechat,
}

impl Vendor {
    /// What the vendor takes of one sender, from its documentation, or a cautious guess where it says nothing.
    #[must_use]
    pub const fn usual_rate(self) -> Rate {
        let (messages, secs) = match self {
            // One a second per webhook.
            Self::Slack => (1, 1),
            // 20 a minute, and ten minutes of silence for the 21st.
            Self::Dingtalk | Self::Wecom => (20, 60),
            // 100 a minute and 5 a second: the first kept evenly keeps the second.
            Self::Feishu => (4, 3),
            Self::Webhook | Self::Alertmanager | Self::Pagerduty => (100, 10),
            Self::AliyunSms | Self::Wechat => (100, 1),
        };
        Rate::new(messages, Duration::from_secs(secs))
    }

    /// Whether people read it in a group chat, so that a template can say how pages look there.
    #[must_use]
    pub const fn is_chat(self) -> bool {
        matches!(self, Self::Slack | Self::Dingtalk | Self::Feishu | Self::Wecom)
    }

    /// Whether a message that comes twice under one id counts once there: what to ask before repeating an attempt
    /// whose answer was [lost](crate::judge::Cause::Lost). A second page in a chat is a nuisance; a second short message
    /// to a customer breaks a promise.
    #[must_use]
    pub const fn knows_repetitions(self) -> bool {
        match self {
            // WeChat within ten minutes.
            Self::Webhook | Self::Alertmanager | Self::Pagerduty | Self::Wechat => true,
            Self::Slack | Self::Dingtalk | Self::Feishu | Self::Wecom | Self::AliyunSms => false,
        }
    }

    /// Whether several pages may become one message there. Not at `PagerDuty`, which keeps an incident per page,
    /// and not where programs listen.
    #[must_use]
    pub const fn joins_pages(self) -> bool {
        match self {
            Self::Alertmanager | Self::Slack | Self::Dingtalk | Self::Feishu | Self::Wecom => true,
            Self::Webhook | Self::Pagerduty | Self::AliyunSms | Self::Wechat => false,
        }
    }
}

/// A robot in a group chat.
pub struct Chat {
    /// Its address.
    pub url: Url,
    /// What it signs with.
    pub secret: Option<Secret>,
    /// The word that every message must hold.
    pub keyword: Option<String>,
    /// Telephone numbers of those whom its pages call.
    pub mobiles: Vec<String>,
    /// Ids of the users whom its pages call.
    pub users: Vec<String>,
}

/// An address, and what signs by Standard Webhooks.
pub struct Hook {
    /// Its address.
    pub url: Url,
    /// What signs; empty only with Alertmanager's body.
    pub keys: Vec<SigningKey>,
}

/// A webhook with Alertmanager's body.
pub struct Alertmanager {
    /// Where it is.
    pub hook: Hook,
    /// Where the console is; empty when it is not said.
    pub external_url: String,
}

/// A service of `PagerDuty`.
pub struct Pagerduty {
    /// Its address.
    pub url: Url,
    /// The routing key, and those of before; at least one.
    pub routing_keys: Vec<Secret>,
    /// Where the console is.
    pub client_url: Option<String>,
}

/// An account for short messages at Alibaba Cloud.
pub struct Sms {
    /// Its address.
    pub url: Url,
    /// Who sends.
    pub key: AccessKey,
    /// What stands before every message.
    pub sign_name: String,
}

/// A WeChat official account.
pub struct OfficialAccount {
    /// The address of the interface.
    pub url: Url,
    /// Id of the account.
    pub app_id: String,
    /// Its secret.
    pub app_secret: Secret,
}

/// Where a receiver is.
pub enum Target {
    /// Standard Webhooks with our body.
    Webhook(Hook),
    /// Alertmanager's body.
    Alertmanager(Alertmanager),
    /// `PagerDuty`.
    Pagerduty(Pagerduty),
    /// Slack.
    Slack(Chat),
    /// `DingTalk`.
    Dingtalk(Chat),
    /// Feishu and Lark.
    Feishu(Chat),
    /// `WeCom`.
    Wecom(Chat),
    /// Short messages of Alibaba Cloud.
    AliyunSms(Sms),
    /// A WeChat official account.
    Wechat(OfficialAccount),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.vendor().fmt(f)
    }
}

impl Target {
    /// Whose protocol it speaks.
    #[must_use]
    pub const fn vendor(&self) -> Vendor {
        match self {
            Self::Webhook(_) => Vendor::Webhook,
            Self::Alertmanager(_) => Vendor::Alertmanager,
            Self::Pagerduty(_) => Vendor::Pagerduty,
            Self::Slack(_) => Vendor::Slack,
            Self::Dingtalk(_) => Vendor::Dingtalk,
            Self::Feishu(_) => Vendor::Feishu,
            Self::Wecom(_) => Vendor::Wecom,
            Self::AliyunSms(_) => Vendor::AliyunSms,
            Self::Wechat(_) => Vendor::Wechat,
        }
    }

    pub(super) fn open(receiver: &str, to: &To) -> Result<Self, InvalidReceiver> {
        let read = Reader { receiver };
        Ok(match to {
            To::Webhook(settings) if settings.keys.is_empty() => return Err(read.no_key("keys")),
            To::Webhook(settings) => Self::Webhook(read.hook(&settings.url, &settings.keys)?),
            To::Alertmanager(settings) => Self::Alertmanager(Alertmanager {
                hook: read.hook(&settings.url, &settings.keys)?,
                external_url: settings.external_url.clone().unwrap_or_default(),
            }),
            To::Pagerduty(settings) => Self::Pagerduty(read.pagerduty(settings)?),
            To::Slack(robot) => Self::Slack(read.robot(robot)?),
            To::Dingtalk(robot) => Self::Dingtalk(read.dingtalk(robot)?),
            To::Feishu(robot) => Self::Feishu(read.feishu(robot)?),
            To::Wecom(robot) => Self::Wecom(read.robot(robot)?),
            To::AliyunSms(settings) => Self::AliyunSms(Sms {
                url: read.url(settings.url.as_ref(), ALIYUN_SMS)?,
                key: AccessKey {
                    id: settings.access_key_id.clone(),
                    secret: read.secret("access_key_secret", &settings.access_key_secret)?,
                },
                sign_name: settings.sign_name.clone(),
            }),
            To::Wechat(settings) => Self::Wechat(OfficialAccount {
                url: read.url(settings.url.as_ref(), WECHAT)?,
                app_id: settings.app_id.clone(),
                app_secret: read.secret("app_secret", &settings.app_secret)?,
            }),
        })
    }
}

/// Reads settings, and knows whose they are when one is wrong.
struct Reader<'a> {
    receiver: &'a str,
}

impl Reader<'_> {
    fn secret(&self, field: &'static str, source: &SecretSource) -> Result<Secret, InvalidReceiver> {
        source.read().map_err(|source| InvalidReceiver::Secret {
            receiver: self.receiver.to_owned(),
            field,
            source,
        })
    }

    /// The address in `source`, or the `usual` one.
    fn url(&self, source: Option<&SecretSource>, usual: &str) -> Result<Url, InvalidReceiver> {
        match source {
            Some(source) => address(self.receiver, "url", self.secret("url", source)?.expose()),
            None => address(self.receiver, "url", usual),
        }
    }

    fn keys(&self, sources: &[SecretSource]) -> Result<Vec<SigningKey>, InvalidReceiver> {
        let key = |source| {
            SigningKey::parse(&self.secret("keys", source)?).map_err(|source| InvalidReceiver::Key {
                receiver: self.receiver.to_owned(),
                source,
            })
        };
        sources.iter().map(key).collect()
    }

    fn hook(&self, url: &SecretSource, keys: &[SecretSource]) -> Result<Hook, InvalidReceiver> {
        Ok(Hook {
            url: self.url(Some(url), "")?,
            keys: self.keys(keys)?,
        })
    }

    fn no_key(&self, field: &'static str) -> InvalidReceiver {
        InvalidReceiver::NoKey {
            receiver: self.receiver.to_owned(),
            field,
        }
    }

    fn pagerduty(&self, settings: &settings::Pagerduty) -> Result<Pagerduty, InvalidReceiver> {
        if settings.routing_keys.is_empty() {
            return Err(self.no_key("routing_keys"));
        }
        let keys = settings.routing_keys.iter();
        Ok(Pagerduty {
            url: self.url(settings.url.as_ref(), PAGERDUTY)?,
            routing_keys: keys
                .map(|key| self.secret("routing_keys", key))
                .collect::<Result<_, _>>()?,
            client_url: settings.client_url.clone(),
        })
    }

    /// A robot that only its address secures.
    fn robot(&self, robot: &Robot) -> Result<Chat, InvalidReceiver> {
        Ok(Chat {
            url: self.url(Some(&robot.url), "")?,
            secret: None,
            keyword: None,
            mobiles: Vec::new(),
            users: robot.users.clone(),
        })
    }

    fn dingtalk(&self, robot: &settings::Dingtalk) -> Result<Chat, InvalidReceiver> {
        Ok(Chat {
            url: self.url(Some(&robot.url), "")?,
            secret: self.optional(robot.secret.as_ref())?,
            keyword: robot.keyword.clone(),
            mobiles: robot.mobiles.clone(),
            users: Vec::new(),
        })
    }

    fn feishu(&self, robot: &settings::Feishu) -> Result<Chat, InvalidReceiver> {
        Ok(Chat {
            url: self.url(Some(&robot.url), "")?,
            secret: self.optional(robot.secret.as_ref())?,
            keyword: robot.keyword.clone(),
            mobiles: Vec::new(),
            users: robot.users.clone(),
        })
    }

    fn optional(&self, secret: Option<&SecretSource>) -> Result<Option<Secret>, InvalidReceiver> {
        secret.map(|secret| self.secret("secret", secret)).transpose()
    }
}
