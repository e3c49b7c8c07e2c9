//! The column that holds the control state without its documents, as JSON.

use domain::control::{AccountSetting, Control, Document, LimitSetting, Override, Standing};
use serde::{Deserialize, Serialize};

use crate::error::LedgerError;

/// What stands beside the documents. A field that this release does not know is refused: whatever it means, leaving it
/// out could route a payment that it was to keep away.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    latest_policy: u64,
    policies_before: Vec<u64>,
    suspensions: Vec<Standing>,
    breakers: Vec<Override>,
    accounts: Vec<AccountSetting>,
    limits: Vec<LimitSetting>,
    imported: Option<String>,
}

impl Settings {
    /// The column of `control`.
    pub(crate) fn encode(control: &Control) -> Result<String, LedgerError> {
        let Control {
            revision: _,
            channels: _,
            policy: _,
            latest_policy,
            policies_before,
            suspensions,
            breakers,
            accounts,
            limits,
            imported,
        } = control.clone();
        let settings = Self {
            latest_policy,
            policies_before,
            suspensions,
            breakers,
            accounts,
            limits,
            imported,
        };
        serde_json::to_string(&settings).map_err(|error| LedgerError::Unstorable {
            field: "settings",
            problem: error.to_string(),
        })
    }

    /// Reads the column.
    pub(crate) fn decode(column: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(column)
    }

    /// The control state with these documents.
    pub(crate) fn into_control(self, revision: u64, channels: Document, policy: Document) -> Control {
        Control {
            revision,
            channels,
            policy,
            latest_policy: self.latest_policy,
            policies_before: self.policies_before,
            suspensions: self.suspensions,
            breakers: self.breakers,
            accounts: self.accounts,
            limits: self.limits,
            imported: self.imported,
        }
    }
}
