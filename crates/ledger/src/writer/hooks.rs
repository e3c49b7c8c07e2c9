//! Who is told of what was kept.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::attempt::AttemptRecord;
use crate::port::Committed;

/// Told of every attempt that was newly kept.
pub(super) type OnNew = Box<dyn FnMut(&AttemptRecord) + Send>;
/// Told of every transaction.
pub(super) type OnCommitted = Box<dyn FnMut(&Committed) + Send>;

/// The callbacks, shared by the task and the drainer, which take turns.
#[derive(Clone)]
pub(super) struct Hooks(Arc<Mutex<(OnNew, OnCommitted)>>);

impl Hooks {
    /// Both callbacks.
    pub(super) fn new(on_new: OnNew, on_committed: OnCommitted) -> Self {
        Self(Arc::new(Mutex::new((on_new, on_committed))))
    }

    /// An attempt was newly kept.
    pub(super) fn new_attempt(&self, attempt: &AttemptRecord) {
        self.0.lock().0(attempt);
    }

    /// A transaction was committed.
    pub(super) fn committed(&self, committed: &Committed) {
        self.0.lock().1(committed);
    }
}
