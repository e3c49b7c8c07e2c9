//! What the catalogue judges of a provider's code: whose doing it was, whether money can have moved, what to do.

use crate::named::named;

named! {
    /// Whether money can have moved.
    pub enum Certainty {
        /// A definite no: the payment was looked at and refused.
        Declined = "declined",
        /// Provably never acted on.
        NotProcessed = "not_processed",
        /// May have been charged. Nothing may be tried before the result is known.
        Unknown = "unknown",
    }
}

named! {
    /// Whose doing the failure was.
    pub enum Side {
        /// The provider, its network, or the way to it.
        Technical = "technical",
        /// The customer's bank.
        Issuer = "issuer",
        /// A risk or compliance check. Never retried, never switched silently.
        Risk = "risk",
        /// The customer.
        Customer = "customer",
        /// The merchant's own set-up or request.
        MerchantConfig = "merchant-config",
    }
}

named! {
    /// Whose health the failure speaks about.
    pub enum HealthScope {
        /// The channel's.
        Channel = "channel",
        /// The customer's bank's, on whatever channel.
        Issuer = "issuer",
        /// The merchant account's.
        Merchant = "merchant",
        /// Nobody's.
        None = "none",
    }
}

named! {
    /// What to do after the failure, as far as the code alone can say.
    pub enum Advice {
        /// Try once more on the same channel.
        RetrySame = "retry_same",
        /// Try another channel of the same method.
        SwitchChannel = "switch_channel",
        /// Only the customer can do something about it.
        AskCustomer = "ask_customer",
        /// Do nothing more with this payment.
        Stop = "stop",
        /// Ask the provider for the result before anything else.
        QueryFirst = "query_first",
    }
}

named! {
    /// How sure the catalogue is of an entry.
    pub enum Confidence {
        /// The provider's own documentation says so.
        High = "high",
        /// Several second-hand sources agree.
        Medium = "medium",
        /// One source, or a reading of our own.
        Low = "low",
    }
}

named! {
    /// What a code says about a channel beyond its having failed.
    pub enum HealthSignal {
        /// The channel is closed, by plan or for now.
        Maintenance = "maintenance",
        /// The channel has too much to do.
        Busy = "busy",
        /// No answer in time, from the provider or from what stands behind it.
        Timeout = "timeout",
    }
}

impl Advice {
    /// The stricter of two pieces of advice: the one that tries less.
    ///
    /// A query comes before everything, because until it is answered nothing else is safe.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        self.max(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_declared_from_the_boldest_to_the_most_careful() {
        assert_eq!(
            Advice::RetrySame.stricter(Advice::SwitchChannel),
            Advice::SwitchChannel
        );
        assert_eq!(Advice::Stop.stricter(Advice::AskCustomer), Advice::Stop);
        assert_eq!(Advice::Stop.stricter(Advice::QueryFirst), Advice::QueryFirst);
    }

    #[test]
    fn a_name_gives_back_its_value() {
        for side in Side::ALL {
            assert_eq!(Side::from_name(side.as_str()), Some(side));
        }
        assert_eq!(Side::from_name("nobody"), None);
    }
}
