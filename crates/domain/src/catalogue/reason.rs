//! The canonical reasons: what hundreds of provider codes come down to.

use crate::named::named;

named! {
    /// Why a payment attempt failed, the same for every provider.
    ///
    /// A closed list, so that a match over it is complete: texts and codes can be added by data, a new kind of
    /// reason cannot.
    pub enum Reason {
        /// The channel cannot take payments now.
        ProviderUnavailable = "provider_unavailable",
        /// No usable answer: the payment may have been charged.
        ProviderTimeout = "provider_timeout",
        /// The customer's bank does not answer.
        IssuerUnavailable = "issuer_unavailable",
        /// Too many calls; this one was not accepted.
        RateLimited = "rate_limited",
        /// The payment waits for the customer or the bank.
        PaymentInProgress = "payment_in_progress",
        /// Balance or credit too low.
        InsufficientFunds = "insufficient_funds",
        /// Over a limit of the customer's account.
        LimitExceeded = "limit_exceeded",
        /// Instalments or credit cannot be used for this order.
        CreditUnavailable = "credit_unavailable",
        /// The card has expired.
        CardExpired = "card_expired",
        /// Number, name, phone or address does not match.
        DetailsIncorrect = "details_incorrect",
        /// The card security code is wrong.
        SecurityCodeIncorrect = "security_code_incorrect",
        /// The PIN or payment password is wrong.
        PinIncorrect = "pin_incorrect",
        /// Too many tries; locked for a time.
        AttemptsExceeded = "attempts_exceeded",
        /// The bank wants the customer verified.
        AuthenticationRequired = "authentication_required",
        /// The identity check was not passed.
        AuthenticationFailed = "authentication_failed",
        /// The payment code or QR code expired or could not be read.
        PaymentCodeExpired = "payment_code_expired",
        /// The customer cancelled.
        CustomerCancelled = "customer_cancelled",
        /// The customer did not pay in time.
        CustomerTimeout = "customer_timeout",
        /// This card or method cannot be used for this payment.
        MethodNotSupported = "method_not_supported",
        /// The customer's card or account is restricted.
        AccountRestricted = "account_restricted",
        /// The card was reported lost or stolen. Never shown as such.
        LostOrStolen = "lost_or_stolen",
        /// Refused by a risk check. Never shown as such.
        RiskDeclined = "risk_declined",
        /// Not allowed in this region or in this way.
        ComplianceRestricted = "compliance_restricted",
        /// Refused without a reason.
        DeclinedGeneric = "declined_generic",
        /// The agreement for automatic payments has ended.
        AuthorisationRevoked = "authorisation_revoked",
        /// The merchant's account, keys or rights are not right.
        MerchantConfiguration = "merchant_configuration",
        /// Over a limit of the merchant's account.
        MerchantLimitExceeded = "merchant_limit_exceeded",
        /// The request was malformed and was not accepted.
        InvalidRequest = "invalid_request",
        /// The order number was used, closed or reversed before.
        OrderConflict = "order_conflict",
        /// The order may already be paid.
        AlreadyPaid = "already_paid",
        /// None of the others: the code is not listed, or says nothing.
        Unclassified = "unclassified",
    }
}

impl Reason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether the reason's own text may be shown while it is not known whether the customer was charged.
    ///
    /// Every other reason then shows the text of [`Reason::ProviderTimeout`].
    #[must_use]
    pub const fn speaks_of_an_open_result(self) -> bool {
        matches!(
            self,
            Self::ProviderTimeout | Self::PaymentInProgress | Self::AlreadyPaid | Self::OrderConflict
        )
    }
}

/// One `T` for every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PerReason<T>([T; Reason::COUNT]);

impl<T> PerReason<T> {
    /// Asks `make` for the value of each reason.
    pub(super) fn build(make: impl FnMut(Reason) -> T) -> Self {
        Self(Reason::ALL.map(make))
    }

    /// The value of `reason`.
    #[expect(
        clippy::indexing_slicing,
        reason = "a reason's number is below the length of the array by construction"
    )]
    pub(super) fn get(&self, reason: Reason) -> &T {
        &self.0[reason as usize]
    }

    /// The value of `reason`, to change it.
    #[expect(
        clippy::indexing_slicing,
        reason = "a reason's number is below the length of the array by construction"
    )]
    pub(super) fn get_mut(&mut self, reason: Reason) -> &mut T {
        &mut self.0[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_finds_its_own_value() {
        let names = PerReason::build(Reason::as_str);
        for reason in Reason::ALL {
            assert_eq!(*names.get(reason), reason.as_str());
        }
    }
}
