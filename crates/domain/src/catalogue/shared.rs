//! The catalogue that a running process goes by.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Catalogue;

/// A catalogue that is replaced whole when its documents change. Whoever judges a report takes it once and keeps to
/// that one until the report is answered.
#[derive(Clone, Debug)]
pub struct Shared(Arc<ArcSwap<Catalogue>>);

impl Shared {
    /// Begins with `catalogue`.
    #[must_use]
    pub fn new(catalogue: Catalogue) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(catalogue)))
    }

    /// The present one.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Catalogue>> {
        self.0.load()
    }

    /// The present one, to be kept for longer than a call.
    #[must_use]
    pub fn load_full(&self) -> Arc<Catalogue> {
        self.0.load_full()
    }

    /// Goes by `catalogue` from now on.
    pub fn replace(&self, catalogue: Catalogue) {
        self.0.store(Arc::new(catalogue));
    }
}
