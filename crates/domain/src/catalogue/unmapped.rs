//! The codes that callers report and no entry lists, so that somebody can map them.

use super::Catalogue;
use super::classify::{FailureReport, given};

/// A reported code that is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnmappedCode<'r> {
    /// Whose code it is.
    pub provider: &'r str,
    /// The code, as it was reported.
    pub code: &'r str,
}

impl Catalogue {
    /// The finest reported code, when it is not listed; `None` when it is, or when none was reported.
    ///
    /// A finer code that is not listed counts although the coarse one decides in its place: the finer one would say
    /// more.
    #[must_use]
    pub fn unmapped<'r>(&self, report: &FailureReport<'r>) -> Option<UnmappedCode<'r>> {
        let provider = report.provider;
        let code = given(report.sub_code).or_else(|| given(report.code))?;
        let is_listed = self.find(provider, code).is_some();
        (!is_listed).then_some(UnmappedCode { provider, code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::FailureKind;

    fn report<'r>(code: &'r str, sub_code: &'r str) -> FailureReport<'r> {
        FailureReport {
            code: Some(code),
            sub_code: Some(sub_code),
            ..FailureReport::new("alipay", FailureKind::Declined)
        }
    }

    #[test]
    fn the_finest_code_that_nobody_listed_is_named() {
        let catalogue = Catalogue::built_in().unwrap();
        let unmapped = |code, sub_code| {
            catalogue
                .unmapped(&report(code, sub_code))
                .map(|found| found.code)
        };
        assert_eq!(unmapped("40004", "ACQ.SYSTEM_ERROR"), None);
        assert_eq!(unmapped("40004", "ACQ.SOMETHING_NEW"), Some("ACQ.SOMETHING_NEW"));
        assert_eq!(unmapped("40099", " "), Some("40099"));
        assert_eq!(unmapped("", ""), None);
    }
}
