//! Template messages of a WeChat official account.

use serde_json::{Map, json};

use super::{Parcel, Prepared, clip};
use crate::message::Notice;
use crate::receiver::OfficialAccount;
use crate::secret::Secret;
use crate::sign;
use crate::wire::Request;

pub(super) fn prepare(
    account: &OfficialAccount,
    access: Option<&Secret>,
    parcel: Parcel<'_>,
    notice: &Notice,
) -> Prepared {
    let data: Map<_, _> = notice
        .parameters
        .iter()
        .map(|(name, value)| {
            (
                name.clone(),
                json!({ "value": clip::one_line(value, longest(name)) }),
            )
        })
        .collect();
    let mut message_id = sign::sha256_hex(parcel.id.as_bytes());
    message_id.truncate(32);
    let body = json!({
        "touser": notice.to.expose(),
        "template_id": notice.template,
        "url": notice.link.as_deref().unwrap_or_default(),
        // The vendor sends one message per customer and id within ten minutes: a retry is not a second message.
        "client_msg_id": message_id,
        "data": data,
    });
    let mut url = account.url.clone();
    url.set_path("/cgi-bin/message/template/send");
    let access = access.map_or("", Secret::expose);
    url.query_pairs_mut().append_pair("access_token", access);
    Prepared::of(Request::json(url, &body))
}

/// Longest value of a keyword in characters. The vendor names keywords by their kind and a number.
fn longest(name: &str) -> usize {
    match name.trim_end_matches(|char: char| char.is_ascii_digit()) {
        "phrase" => 5,
        "thing" | "const" => 20,
        "character_string" | "number" | "symbol" => 32,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_as_long_as_its_kind_allows() {
        assert_eq!(longest("thing10"), 20);
        assert_eq!(longest("character_string2"), 32);
        assert_eq!(longest("first"), 200);
    }
}
