//! What the router knows and the compensator and the console need: papers of requests, and what customers are told.
//! The services know nothing of each other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compensator::Papers;
use domain::attempt::State;
use domain::catalogue::Shared as SharedCatalogue;
use jiff::Timestamp;
use ledger::NewDelivery;
use ledger::attempt::AttemptRecord;
use router::notice::Teller;
use router::token::Keyring;

/// Makes papers with the routers' keys.
#[derive(Debug)]
pub(crate) struct Clerk {
    papers: router::papers::Clerk,
    teller: Teller,
}

/// Tells customers what a person decides.
#[derive(Debug)]
pub(crate) struct Herald(pub(crate) Teller);

impl Clerk {
    /// Signs with `keyring`; customers are told what `teller` says.
    pub(crate) const fn new(keyring: Keyring, catalogue: SharedCatalogue, teller: Teller) -> Self {
        let papers = router::papers::Clerk::new(keyring, catalogue);
        Self { papers, teller }
    }
}

impl compensator::Clerk for Clerk {
    fn papers(&self, attempt: &AttemptRecord) -> Papers {
        let papers = self.papers.papers(attempt);
        Papers {
            attempt_key: papers.attempt_key,
            receipt: BASE64.encode(papers.receipt),
        }
    }

    fn notices(&self, attempt: &AttemptRecord, state: State, at: Timestamp) -> Vec<NewDelivery> {
        self.teller.decided(attempt, state, at)
    }
}

impl console::Herald for Herald {
    fn notices(&self, attempt: &AttemptRecord, state: State, at: Timestamp) -> Vec<NewDelivery> {
        self.0.decided(attempt, state, at)
    }
}
