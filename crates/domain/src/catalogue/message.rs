//! What to tell the customer: chosen by how certain the outcome is first, by the reason second.

use super::Catalogue;
use super::classify::Failure;
use super::document::ReasonRow;
use super::judgement::{Certainty, Side};
use super::locale::{closeness, is_same};
use super::reason::Reason;

/// The language that is shown when there is no text in the wanted one, unless a document names another.
pub(super) const LAST_RESORT: &str = "en";

/// A text for the customer, in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What happened.
    pub what: Box<str>,
    /// What the customer can do.
    pub todo: Box<str>,
}

/// The texts of one reason, and when to show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonText {
    texts: Vec<(Box<str>, Text)>,
    /// Whether a telephone number helps the customer.
    pub show_contact: bool,
    /// Whether to offer another try with the same card or account.
    pub offer_retry_same_instrument: bool,
    /// Whether to tell the customer again later, when the page is closed.
    pub notify_customer_afterwards: bool,
}

impl ReasonText {
    /// Whether there is a text for every look-up.
    pub(super) fn is_complete(&self) -> bool {
        self.texts.iter().any(|(locale, _)| &**locale == LAST_RESORT)
    }

    /// The languages there are texts in, BCP 47.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(locale, _)| &**locale)
    }

    /// The text in the language closest to `wanted` (BCP 47): the same tag, else the longest common beginning, down to
    /// the language alone. `None` when there is none in that language.
    #[must_use]
    pub fn text(&self, wanted: &str) -> Option<&Text> {
        self.texts
            .iter()
            .filter_map(|(locale, text)| Some((closeness(locale, wanted)?, text)))
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, text)| text)
    }

    /// Puts `text` in the place of the one in `locale`, or beside the others.
    pub(super) fn set(&mut self, locale: &str, text: Text) {
        match self.texts.iter_mut().find(|(known, _)| is_same(known, locale)) {
            Some((_, earlier)) => *earlier = text,
            None => self.texts.push((locale.into(), text)),
        }
    }
}

impl From<ReasonRow> for ReasonText {
    fn from(row: ReasonRow) -> Self {
        let text = |message: super::document::MessageRow| Text {
            what: message.what,
            todo: message.todo,
        };
        Self {
            texts: row
                .message
                .into_iter()
                .map(|(locale, message)| (locale, text(message)))
                .collect(),
            show_contact: row.show_contact,
            offer_retry_same_instrument: row.offer_retry_same_instrument,
            notify_customer_afterwards: row.notify_customer_afterwards,
        }
    }
}

/// Whom the customer can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'c> {
    /// Nobody: a call would not help.
    Nobody,
    /// The merchant's own service, whose number the merchant knows.
    Merchant,
    /// This telephone number, of the wallet or the network.
    Hotline(&'c str),
}

/// What to tell the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerMessage<'c> {
    /// What happened.
    pub what: &'c str,
    /// What the customer can do.
    pub todo: &'c str,
    /// Whom the customer can call.
    pub contact: Contact<'c>,
}

/// The reason whose text is shown.
///
/// While the outcome is open, only a text that says so; once it is settled, none that says it is open. A text that
/// says "you were not charged" therefore never meets an outcome that may have charged.
const fn shown_as(reason: Reason, certainty: Certainty) -> Reason {
    match (certainty, reason) {
        (Certainty::Unknown, reason) if reason.speaks_of_an_open_result() => reason,
        (Certainty::Unknown, _) => Reason::ProviderTimeout,
        (
            Certainty::Declined | Certainty::NotProcessed,
            Reason::ProviderTimeout | Reason::PaymentInProgress | Reason::AlreadyPaid,
        ) => Reason::ProviderUnavailable,
        (Certainty::Declined | Certainty::NotProcessed, reason) => reason,
    }
}

impl Catalogue {
    /// The text for `reason` at that certainty, in the language closest to `locale` (BCP 47), else in the default
    /// language.
    #[must_use]
    pub fn text(&self, reason: Reason, certainty: Certainty, locale: &str) -> (&str, &str) {
        let shown = self.reason(shown_as(reason, certainty));
        shown
            .text(locale)
            .or_else(|| shown.text(&self.default_locale))
            .map_or(("", ""), |text| (&text.what, &text.todo))
    }

    /// What to tell the customer of `failure` at `provider`, in the language closest to `locale` (BCP 47).
    #[must_use]
    pub fn message<'c>(&'c self, failure: &'c Failure, provider: &str, locale: &str) -> CustomerMessage<'c> {
        let (what, todo) = self.text(failure.reason, failure.certainty, locale);
        CustomerMessage {
            what,
            todo,
            contact: self.contact(failure, provider),
        }
    }

    /// Whom the customer can call about `failure`.
    ///
    /// A wallet's or network's hotline knows the customer's account; it cannot help with a result that is still
    /// open or with the merchant's own set-up.
    fn contact<'c>(&'c self, failure: &'c Failure, provider: &str) -> Contact<'c> {
        if let Some(number) = failure.code.as_deref().and_then(|code| code.contact.as_deref()) {
            return Contact::Hotline(number);
        }
        if !self
            .reason(shown_as(failure.reason, failure.certainty))
            .show_contact
        {
            return Contact::Nobody;
        }
        let about_the_account = matches!(failure.side, Side::Customer | Side::Issuer | Side::Risk)
            && failure.certainty != Certainty::Unknown;
        match self.hotline(provider) {
            Some(number) if about_the_account => Contact::Hotline(number),
            _ => Contact::Merchant,
        }
    }

    /// The hotline of the family that `provider` belongs to: `wechatpay_v3` to `wechatpay`.
    fn hotline(&self, provider: &str) -> Option<&str> {
        let belongs = |family: &str| {
            provider
                .strip_prefix(family)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        self.hotlines
            .iter()
            .find(|(family, _)| belongs(family))
            .map(|(_, number)| &**number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{FailureKind, FailureReport};

    fn message(provider: &str, code: &str, locale: &str) -> (String, Option<String>) {
        let catalogue = Catalogue::built_in().unwrap();
        let failure = catalogue.classify(&FailureReport {
            code: Some(code),
            ..FailureReport::new(provider, FailureKind::Declined)
        });
        let message = catalogue.message(&failure, provider, locale);
        let contact = match message.contact {
            Contact::Nobody => None,
            Contact::Merchant => Some("merchant".to_owned()),
            Contact::Hotline(number) => Some(number.to_owned()),
        };
        (message.what.to_owned(), contact)
    }

    #[test]
    fn the_closest_language_is_shown() {
        let catalogue = Catalogue::built_in().unwrap();
        let what = |locale| {
            let (what, _) = catalogue.text(Reason::CardExpired, Certainty::Declined, locale);
            what.to_owned()
        };
        for chinese in ["zh-CN", "zh", "zh-Hans-CN", "ZH_cn", "zh-TW"] {
            assert_eq!(what(chinese), "这张卡已过有效期。", "{chinese}");
        }
        for english in ["en", "en-GB", "fr", "", "not a tag", "zho"] {
            assert_eq!(what(english), "This card has expired.", "{english}");
        }
    }

    #[test]
    fn an_open_result_is_shown_as_open_whatever_the_reason() {
        let catalogue = Catalogue::built_in().unwrap();
        let open = catalogue.text(Reason::ProviderTimeout, Certainty::Unknown, "en");
        assert_eq!(
            catalogue.text(Reason::InsufficientFunds, Certainty::Unknown, "en"),
            open
        );
        assert_ne!(
            catalogue.text(Reason::ProviderTimeout, Certainty::NotProcessed, "en"),
            open
        );
    }

    #[test]
    fn a_hotline_is_shown_for_the_customers_account_only() {
        assert_eq!(
            message("alipay", "ACQ.BUYER_ENABLE_STATUS_FORBID", "zh")
                .1
                .unwrap(),
            "95188"
        );
        assert_eq!(message("unionpay", "67", "zh").1.unwrap(), "95516");
        assert_eq!(message("wechatpay_v3", "TRADE_ERROR", "zh").1.unwrap(), "95017");
        assert_eq!(
            message("wechatpay_v3", "SYSTEM_ERROR", "zh").1.unwrap(),
            "merchant"
        );
        assert_eq!(message("wechatpay_v3", "SIGN_ERROR", "zh").1.unwrap(), "merchant");
        assert_eq!(message("stripe", "try_again_later", "en").1.unwrap(), "merchant");
        assert_eq!(message("wechatpay_v3", "NOTENOUGH", "zh").1, None);
    }
}
