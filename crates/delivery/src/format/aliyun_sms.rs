//! Alibaba Cloud's short messages: `SendSms` of the interface of 2017-05-25.

use serde_json::{Map, Value};

use super::{Parcel, Prepared, clip};
use crate::message::Notice;
use crate::receiver::Sms;
use crate::sign::{self, acs3};

/// Longest value of a template's parameter in characters.
const VALUE_CHARS: usize = 35;

pub(super) fn prepare(sms: &Sms, parcel: Parcel<'_>, notice: &Notice) -> Prepared {
    let parameters: Map<_, _> = notice
        .parameters
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(clip::one_line(value, VALUE_CHARS))))
        .collect();
    let parameters = Value::Object(parameters).to_string();
    // No two attempts are made of one message at one time.
    let nonce = format!("{}.{}", parcel.id, parcel.now.as_nanosecond());
    let mut nonce = sign::sha256_hex(nonce.as_bytes());
    nonce.truncate(32);
    let call = acs3::Call {
        action: "SendSms",
        version: "2017-05-25",
        nonce: &nonce,
        now: parcel.now,
    };
    let parameters = [
        ("PhoneNumbers", notice.to.expose()),
        ("SignName", &sms.sign_name),
        ("TemplateCode", &notice.template),
        ("TemplateParam", &parameters),
        // Comes back in the vendor's own delivery report.
        ("OutId", parcel.id),
    ];
    Prepared::of(acs3::request(&sms.url, call, &parameters, &sms.key))
}
