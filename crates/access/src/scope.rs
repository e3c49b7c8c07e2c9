//! What a token is good for.

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Route payments, report and resolve attempts, look payments up: a checkout service.
    Call,
    /// Read health, configuration, metrics and payments: people and dashboards.
    Read,
    /// Change channels, policies, suspensions, breakers and limits: payment operations.
    Operate,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Call, Self::Read, Self::Operate];

    /// What a token may do whose line names no scope. Changing things must be granted by name.
    pub const DEFAULT: [Self; 2] = [Self::Call, Self::Read];

    /// Its name in the tokens file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }

    /// The scope of this name; `None` when there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}
