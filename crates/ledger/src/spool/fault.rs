//! Where the tests of the spool stop the world: between any two durable effects, or with an error of the disk.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;

use parking_lot::Mutex;

/// A moment right after a durable effect, or after one that is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A segment was made; its name is not durable.
    SegmentMade,
    /// The name of the segment is durable.
    FolderSynced,
    /// A record was written; it is not durable.
    RecordWritten,
    /// The record is durable; nobody was told.
    RecordSynced,
    /// What followed the last record of a segment was cut off.
    TailCut,
    /// The position was written.
    PositionWritten,
    /// A segment was removed, or set aside; that is not durable.
    SegmentGone,
}

/// What happens at a moment.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The process ends: nothing runs any more but destructors.
    Crash,
    /// The disk answers with an error.
    Error(io::ErrorKind),
}

#[derive(Debug, Default)]
struct Plan {
    passed: usize,
    crash_at: Option<usize>,
    errors: Vec<(Step, io::ErrorKind)>,
}

/// What a stopped process leaves behind instead of an answer.
#[derive(Debug)]
pub(crate) struct Crashed(pub(crate) Step);

/// The faults that a test has planned for a spool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    /// Ends the process at the moment that comes after `passed` others.
    pub(crate) fn crash_after(passed: usize) -> Self {
        let plan = Plan {
            crash_at: Some(passed),
            ..Plan::default()
        };
        Self(Arc::new(Mutex::new(plan)))
    }

    /// Answers with an error the next time that `step` is reached.
    pub(crate) fn error_at(&self, step: Step, kind: io::ErrorKind) {
        self.0.lock().errors.push((step, kind));
    }

    /// A moment is reached.
    pub(super) fn reached(&self, step: Step) -> io::Result<()> {
        match self.next(step) {
            None => Ok(()),
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::Crash) => resume_unwind(Box::new(Crashed(step))),
        }
    }

    fn next(&self, step: Step) -> Option<Fault> {
        let mut plan = self.0.lock();
        let passed = plan.passed;
        plan.passed += 1;
        if plan.crash_at == Some(passed) {
            return Some(Fault::Crash);
        }
        let at = plan.errors.iter().position(|(planned, _)| *planned == step)?;
        Some(Fault::Error(plan.errors.remove(at).1))
    }
}
