//! How bad it is.

use crate::named::named;

named! {
    /// How bad it is, worst last; the words are those of `PagerDuty`.
    pub enum Severity {
        /// Good to know.
        Info = "info",
        /// Look at it during working hours.
        Warning = "warning",
        /// Look at it today.
        Error = "error",
        /// Somebody must get up: a page.
        Critical = "critical",
    }
}

impl Severity {
    /// Whether somebody is to be woken.
    #[must_use]
    pub const fn is_page(self) -> bool {
        matches!(self, Self::Critical)
    }
}
