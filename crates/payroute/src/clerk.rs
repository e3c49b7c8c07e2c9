//! The router's papers for the compensator's requests: the services know nothing of each other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compensator::Papers;
use domain::catalogue::Shared as SharedCatalogue;
use ledger::attempt::AttemptRecord;
use router::token::Keyring;

/// Makes papers with the routers' keys.
#[derive(Debug)]
pub(crate) struct Clerk(router::papers::Clerk);

impl Clerk {
    /// Signs with `keyring`.
    pub(crate) const fn new(keyring: Keyring, catalogue: SharedCatalogue) -> Self {
        Self(router::papers::Clerk::new(keyring, catalogue))
    }
}

impl compensator::Clerk for Clerk {
    fn papers(&self, attempt: &AttemptRecord) -> Papers {
        let papers = self.0.papers(attempt);
        Papers {
            attempt_key: papers.attempt_key,
            receipt: BASE64.encode(papers.receipt),
        }
    }
}
