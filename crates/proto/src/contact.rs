//! `CustomerContact`: from the wire, and printed without its numbers.

use std::fmt;

use domain::notice::{Contact, InvalidContact};

use crate::fields::Reader;
use crate::v1;

impl fmt::Debug for v1::CustomerContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerContact(***)")
    }
}

/// The contact of a request; nobody's when there is none.
pub(crate) fn contact(reader: &mut Reader, contact: Option<v1::CustomerContact>) -> Contact {
    let Some(said) = contact else {
        return Contact::default();
    };
    let mut contact = Contact::default();
    let phone = reader.text("contact.phone", said.phone);
    let open_id = reader.text("contact.wechat_open_id", said.wechat_open_id);
    let mut add = |field: &str, added: Result<Contact, InvalidContact>| match added {
        Ok(added) => added,
        Err(error) => {
            reader.refuse(field, error.to_string());
            Contact::default()
        }
    };
    if let Some(phone) = phone {
        contact = add("contact.phone", contact.with_phone(&phone));
    }
    if let Some(open_id) = open_id {
        contact = add("contact.wechat_open_id", contact.with_wechat(&open_id));
    }
    if said.opted_out {
        contact.opted_out()
    } else {
        contact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(contact: v1::CustomerContact) -> String {
        let mut reader = Reader::default();
        super::contact(&mut reader, Some(contact));
        let wrong = reader.finish(Some(())).unwrap_err();
        format!("{wrong:?}")
    }

    #[test]
    fn a_wrong_number_is_named_by_its_field_and_not_repeated() {
        let told = refused(v1::CustomerContact {
            phone: "secret".to_owned(),
            ..v1::CustomerContact::default()
        });
        assert!(
            told.contains("contact.phone") && !told.contains("secret"),
            "{told}"
        );
        let told = refused(v1::CustomerContact {
            wechat_open_id: "4111111111111111".to_owned(),
            ..v1::CustomerContact::default()
        });
        assert!(
            told.contains("contact.wechat_open_id") && !told.contains("4111"),
            "{told}"
        );
    }

    #[test]
    fn a_request_prints_no_number() {
        let contact = v1::CustomerContact {
            phone: "13800138000".to_owned(),
            ..v1::CustomerContact::default()
        };
        let request = v1::ReportOutcomeRequest {
            contact: Some(contact),
            ..v1::ReportOutcomeRequest::default()
        };
        assert!(!format!("{request:?}").contains("138"));
    }
}
