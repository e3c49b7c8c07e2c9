//! From a message to the request a vendor understands.

mod alertmanager;
mod aliyun_sms;
mod body;
pub mod clip;
mod dingtalk;
mod feishu;
pub mod markup;
mod pagerduty;
#[cfg(test)]
pub(crate) mod sample;
mod slack;
pub mod template;
mod webhook;
mod wechat;
mod wecom;
mod words;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::receiver::{Receiver, Target};
use crate::secret::Secret;
use crate::sign;
use crate::sign::standard_webhooks::SigningKey;
use crate::wire::Request;

/// One attempt to deliver a message.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// The same on every attempt, so that a receiver can tell a repetition. Without dots; a UUID is best.
    pub id: &'a str,
    /// What is sent.
    pub message: &'a Message,
    /// The time of this attempt: signatures are good for minutes.
    pub now: Timestamp,
    /// By which key an earlier message of the same incident was accepted, from its [`Prepared::credential`].
    pub credential: Option<&'a CredentialId>,
}

/// Which of a receiver's keys was used, without telling the key: the beginning of its SHA-256. To be stored with the
/// incident, because `PagerDuty` drops a resolve that does not come by the key of its trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(String);

impl CredentialId {
    /// The id of `key`.
    #[must_use]
    pub fn of(key: &Secret) -> Self {
        let mut id = sign::sha256_hex(key.expose().as_bytes());
        id.truncate(16);
        Self(id)
    }
}

/// A request, and what is to be known about it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What goes on the wire.
    pub request: Request,
    /// The key it was made with, where a later message must use the same.
    pub credential: Option<CredentialId>,
    /// The receiver's template failed, and the built-in minimum stands in for it. To be logged and told.
    pub template_failed: bool,
}

impl Prepared {
    const fn of(request: Request) -> Self {
        Self {
            request,
            credential: None,
            template_failed: false,
        }
    }
}

/// What kind of message it is, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page.
    Page,
    /// An event.
    Event,
    /// A customer notice.
    Notice,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page => "a page",
            Self::Event => "an event",
            Self::Notice => "a customer notice",
        })
    }
}

/// Why a message cannot be put into a request. Trying again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The receiver is for other things.
    #[error("receiver `{receiver}` cannot take {kind}")]
    Kind {
        /// The receiver.
        receiver: String,
        /// What it was to take.
        kind: Kind,
    },
    /// The key that the incident was opened with is no longer configured.
    #[error("receiver `{receiver}` no longer has the key that the incident was opened with")]
    KeyGone {
        /// The receiver.
        receiver: String,
    },
}

/// The request for `parcel` at `receiver`. `access` is the access token of vendors that want one
/// ([`Vendor::Wechat`](crate::receiver::Vendor::Wechat)).
///
/// # Errors
/// When the receiver is not for messages of this kind.
pub fn prepare(
    receiver: &Receiver,
    parcel: Parcel<'_>,
    access: Option<&Secret>,
) -> Result<Prepared, Unsendable> {
    match (&receiver.target, parcel.message) {
        (Target::Webhook(hook), message) => Ok(webhook::prepare(hook, parcel, message)),
        (Target::Alertmanager(at), Message::Page(page)) => {
            Ok(alertmanager::prepare(receiver, at, parcel, page))
        }
        (Target::Pagerduty(at), Message::Page(page)) => pagerduty::prepare(receiver, at, parcel, page),
        (Target::Slack(chat), Message::Page(page)) => Ok(slack::prepare(receiver, chat, page)),
        (Target::Dingtalk(chat), Message::Page(page)) => {
            Ok(dingtalk::prepare(receiver, chat, parcel.now, page))
        }
        (Target::Feishu(chat), Message::Page(page)) => Ok(feishu::prepare(receiver, chat, parcel.now, page)),
        (Target::Wecom(chat), Message::Page(page)) => Ok(wecom::prepare(receiver, chat, page)),
        (Target::AliyunSms(sms), Message::Notice(notice)) => Ok(aliyun_sms::prepare(sms, parcel, notice)),
        (Target::Wechat(account), Message::Notice(notice)) => {
            Ok(wechat::prepare(account, access, parcel, notice))
        }
        (_, message) => Err(Unsendable::Kind {
            receiver: receiver.name.clone(),
            kind: kind_of(message),
        }),
    }
}

const fn kind_of(message: &Message) -> Kind {
    match message {
        Message::Page(_) => Kind::Page,
        Message::Event(_) => Kind::Event,
        Message::Notice(_) => Kind::Notice,
    }
}

/// Adds the headers of Standard Webhooks, signed over the body as it stands.
fn sign_webhook(request: &mut Request, parcel: Parcel<'_>, keys: &[SigningKey]) {
    let now = parcel.now.as_second();
    request.header("webhook-id", parcel.id);
    request.header("webhook-timestamp", &now.to_string());
    if !keys.is_empty() {
        let signature = sign::standard_webhooks::sign(parcel.id, now, &request.body, keys);
        request.header("webhook-signature", &signature);
    }
}
