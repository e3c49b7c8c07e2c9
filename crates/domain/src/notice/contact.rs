//! How one customer can be reached: what a caller says with a report, and nobody keeps longer than until it is sent.

use std::fmt;

use super::occasion::{Consent, Contacts, Way};

/// Fewest and most digits of a telephone number. The most are those of E.164.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// Longest open id, in bytes.
const MAX_OPEN_ID: usize = 64;

/// A customer's numbers. Personal data: printed as stars.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contact {
    phone: Option<Box<str>>,
    wechat_open_id: Option<Box<str>>,
    opted_out: bool,
}

/// What is wrong with a contact. It does not repeat the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContact {
    /// A telephone number that is none.
    #[error("must be 5 to 15 digits, after a `+` or not")]
    Phone,
    /// An open id that is none.
    #[error("must be up to 64 letters, digits, `_` and `-`")]
    OpenId,
}

impl Contact {
    /// A customer who does not want to be told anything by us.
    #[must_use]
    pub fn opted_out(self) -> Self {
        Self {
            opted_out: true,
            ..self
        }
    }

    /// The same with a telephone number, as the vendor of text messages takes it.
    ///
    /// # Errors
    /// When it is none.
    pub fn with_phone(self, number: &str) -> Result<Self, InvalidContact> {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let fits = PHONE_DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let phone = fits.then(|| number.into()).ok_or(InvalidContact::Phone)?;
        Ok(Self {
            phone: Some(phone),
            ..self
        })
    }

    /// The same with the customer's id at the merchant's WeChat official account.
    ///
    /// # Errors
    /// When it is none.
    pub fn with_wechat(self, open_id: &str) -> Result<Self, InvalidContact> {
        let spelled = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let fits = (1..=MAX_OPEN_ID).contains(&open_id.len()) && open_id.bytes().all(spelled);
        let open_id = fits.then(|| open_id.into()).ok_or(InvalidContact::OpenId)?;
        Ok(Self {
            wechat_open_id: Some(open_id),
            ..self
        })
    }

    /// By which ways the customer can be reached and wants to be. The merchant's own service always can.
    #[must_use]
    pub fn consents(&self) -> Contacts {
        let by = |known: bool| match (known, self.opted_out) {
            (false, _) => Consent::NoContact,
            (true, false) => Consent::Given,
            (true, true) => Consent::OptedOut,
        };
        Contacts {
            webhook: by(true),
            sms: by(self.phone.is_some()),
            wechat: by(self.wechat_open_id.is_some()),
        }
    }

    /// The number or id for `way`; `None` where there is none, and for the merchant's own service.
    #[must_use]
    pub fn address(&self, way: Way) -> Option<&str> {
        match way {
            Way::Webhook => None,
            Way::Sms => self.phone.as_deref(),
            Way::Wechat => self.wechat_open_id.as_deref(),
        }
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |known: bool| if known { "***" } else { "none" };
        f.debug_struct("Contact")
            .field("phone", &shown(self.phone.is_some()))
            .field("wechat_open_id", &shown(self.wechat_open_id.is_some()))
            .field("opted_out", &self.opted_out)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_is_never_printed() {
        for wrong in [
            "",
            "1234",
            "+",
            "1380013800a",
            "1234567890123456",
            "138 0013 8000",
        ] {
            assert_eq!(Contact::default().with_phone(wrong), Err(InvalidContact::Phone));
        }
        for wrong in ["", "a b", &"o".repeat(65)] {
            assert_eq!(Contact::default().with_wechat(wrong), Err(InvalidContact::OpenId));
        }
        let contact = Contact::default().with_phone("+8613800138000").unwrap();
        let contact = contact.with_wechat("oABC-1_2").unwrap();
        assert_eq!(contact.address(Way::Sms), Some("+8613800138000"));
        let shown = format!("{contact:?}");
        assert!(!shown.contains("138") && !shown.contains("oABC"), "{shown}");
    }

    #[test]
    fn who_opted_out_is_told_by_no_way() {
        let contact = Contact::default().with_phone("13800138000").unwrap();
        assert_eq!(contact.consents().sms, Consent::Given);
        assert_eq!(contact.consents().wechat, Consent::NoContact);
        let contact = contact.opted_out().consents();
        assert_eq!(
            (contact.sms, contact.webhook),
            (Consent::OptedOut, Consent::OptedOut)
        );
    }
}
