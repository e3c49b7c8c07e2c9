//! What every call of the routing service works with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SharedClock;
use domain::control::{Assembled, Override};
use domain::decision::Shop;
use domain::limit::{InvalidRules, Limits};
use jiff::SignedDuration;
use ledger::compensation::Cases;
use ledger::{Answer, Ledger, LedgerError, Writer};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use stats::live::Live;
use stats::stream::Publisher;

use crate::error::CallError;
use crate::guarded::Guarding;
use crate::meter::Meter;
use crate::notice::Teller;
use crate::token::Keyring;

/// How long a look-up in the ledger may take: as long as a transaction of it may. A look-up takes milliseconds, and who
/// asked is better told to ask again than kept waiting.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(2);

/// What the routing service is made of.
pub struct Parts {
    /// What the shop routes by.
    pub shop: Shop,
    /// The brain and the health snapshot.
    pub live: Arc<Live>,
    /// What failures mean.
    pub catalogue: SharedCatalogue,
    /// The keys of tokens and receipts.
    pub keyring: Keyring,
    /// The writing side of the ledger.
    pub writer: Writer,
    /// The reading side of the ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The compensation queue of the ledger.
    pub cases: Arc<dyn Cases>,
    /// Where outcomes are counted. The writer hands reported ones over; from here it is asked for room beforehand,
    /// and told what a resolution has shown.
    pub outcomes: Publisher,
    /// The time.
    pub clock: SharedClock,
    /// How long an outcome may be reported after its decision.
    pub token_ttl: SignedDuration,
    /// Chance, for exploration and jitter.
    pub rng: StdRng,
    /// What keeps guarded payments from being charged twice.
    pub guarding: Guarding,
}

/// The state behind the routing service. Shared by all calls; nothing in it is locked across an await.
pub struct Routing {
    pub(crate) shop: ArcSwap<Shop>,
    pub(crate) desk: Mutex<Desk>,
    pub(crate) live: Arc<Live>,
    pub(crate) catalogue: SharedCatalogue,
    pub(crate) keyring: Keyring,
    pub(crate) writer: Writer,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) cases: Arc<dyn Cases>,
    pub(crate) outcomes: Publisher,
    pub(crate) clock: SharedClock,
    pub(crate) token_ttl: SignedDuration,
    pub(crate) meter: Meter,
    pub(crate) guarding: Guarding,
    pub(crate) teller: Teller,
}

/// What changes with every decision, besides the brain. Locked before the brain, never after it.
pub(crate) struct Desk {
    pub(crate) limits: Limits,
    pub(crate) rng: StdRng,
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.shop.load();
        f.debug_struct("Routing")
            .field("policy", &policy.policy.version())
            .finish_non_exhaustive()
    }
}

impl Routing {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When the shop's limits cannot be counted together.
    pub fn new(parts: Parts) -> Result<Self, InvalidRules> {
        let desk = Desk {
            limits: Limits::new(parts.shop.limits.clone())?,
            rng: parts.rng,
        };
        let teller = Teller::new(None, parts.catalogue.clone());
        Ok(Self {
            shop: ArcSwap::from_pointee(parts.shop),
            desk: Mutex::new(desk),
            live: parts.live,
            catalogue: parts.catalogue,
            keyring: parts.keyring,
            writer: parts.writer,
            ledger: parts.ledger,
            cases: parts.cases,
            outcomes: parts.outcomes,
            clock: parts.clock,
            token_ttl: parts.token_ttl,
            meter: Meter::new(),
            guarding: parts.guarding,
            teller,
        })
    }

    /// The same, and customers are told what `teller` says.
    #[must_use]
    pub fn telling(self, teller: Teller) -> Self {
        Self { teller, ..self }
    }

    /// Routes by `assembled` from now on, with breakers overridden by `breakers` and no others. What was learnt and
    /// counted stays. A decision is made wholly before this or wholly after it; when it returns, none is made by what
    /// was before.
    ///
    /// # Errors
    /// When the limits cannot be counted together; nothing is changed then.
    pub fn adopt(&self, assembled: Assembled, breakers: &[Override]) -> Result<(), InvalidRules> {
        let mut desk = self.desk.lock();
        desk.limits.set_rules(assembled.configuration.limits.clone())?;
        let shop = self.live.with_brain(|brain| assembled.open(breakers, brain));
        self.shop.store(Arc::new(shop));
        Ok(())
    }

    /// What the ledger answers to a look-up, in time. That it knows nothing is believed only when nothing was waiting
    /// in the spool before it was asked: what was acknowledged is never called unknown.
    pub(crate) async fn look_up<T>(&self, asked: Answer<'_, Option<T>>) -> Result<Option<T>, CallError> {
        let was_behind = self.writer.is_behind();
        let answer = self.in_time(asked).await?;
        if answer.is_none() && was_behind {
            return Err(unavailable("know what was spooled", Arc::new(Behind)).into());
        }
        Ok(answer)
    }

    /// What the ledger answers, in time.
    pub(crate) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, CallError> {
        let answer = tokio::time::timeout(LOOK_UP_WITHIN, asked).await;
        let answer = answer.map_err(|elapsed| unavailable("answer in time", Arc::new(elapsed)))?;
        Ok(answer?)
    }
}

fn unavailable(operation: &'static str, source: ledger::error::Cause) -> LedgerError {
    LedgerError::Unavailable { operation, source }
}

/// Why a look-up that found nothing says nothing.
#[derive(Debug, thiserror::Error)]
#[error("outcomes wait in the spool")]
struct Behind;
