//! A checkpoint: everything that a brain has learnt, as plain data that can be written and read back.

use std::sync::Arc;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Brain, Params};

/// The number of the present form. A change of anything that a checkpoint holds changes it.
pub const SCHEMA: u16 = 1;

/// What a brain had learnt at some moment: estimates, breakers, response times, attempts that are out.
///
/// The numbers it was tuned with are not part of it: whoever reads it goes on by its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    schema: u16,
    brain: Brain,
}

/// The checkpoint was written by another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint of schema {found}, expected {SCHEMA}")]
pub struct UnknownSchema {
    /// What it says it is.
    pub found: u16,
}

impl Brain {
    /// What the brain has learnt by now. Its log and its journal are not part of it.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let brain = Self {
            journal: None,
            log: std::collections::VecDeque::new(),
            ..self.clone()
        };
        Checkpoint {
            schema: SCHEMA,
            brain,
        }
    }

    /// A brain that goes on from `checkpoint`, by its own `params`. Whoever wrote it may have had another clock:
    /// every time is moved by `shift`.
    ///
    /// # Errors
    /// When the checkpoint is of another schema.
    pub fn restore(
        checkpoint: Checkpoint,
        params: Arc<Params>,
        shift: SignedDuration,
    ) -> Result<Self, UnknownSchema> {
        if checkpoint.schema != SCHEMA {
            return Err(UnknownSchema {
                found: checkpoint.schema,
            });
        }
        let mut brain = checkpoint.brain;
        brain.names.set_limits(&params.limits);
        brain.flights.set_cap(params.limits.in_flight);
        brain.base.set_levels(&params.estimate);
        for member in &mut brain.members {
            member.quality.set_levels(&params.estimate);
        }
        brain.beginning = brain
            .beginning
            .map(|beginning| beginning.checked_add(shift).unwrap_or(beginning));
        brain.params = params;
        Ok(brain)
    }

    /// The numbers it goes by, shared.
    #[must_use]
    pub fn params(&self) -> Arc<Params> {
        Arc::clone(&self.params)
    }
}
