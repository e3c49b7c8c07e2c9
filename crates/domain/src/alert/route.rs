//! Who is told of which alerts.

use super::matcher::Matcher;

/// Who is told of alerts that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which alerts: all of these must fit; every alert when there are none.
    pub when: Vec<Matcher>,
    /// The receivers, by name.
    pub receivers: Vec<Box<str>>,
    /// Whether later routes add theirs.
    pub goes_on: bool,
}
