//! A process that stops between any two durable effects, with and without the power going too.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::super::fault::{Crashed, Faults};
use super::*;

/// What outlives the process: the ledger, what callers were told, and what the disk had promised.
#[derive(Debug, Default)]
struct World {
    /// The attempts that the ledger has, each once, in the order in which it got them.
    ledger: Vec<String>,
    /// The attempts whose callers were told that they are kept, in that order.
    acknowledged: Vec<String>,
    /// How long each segment was when its last record was acknowledged.
    promised: BTreeMap<PathBuf, u64>,
}

impl World {
    fn keep(&mut self, spool: &mut Spool, name: &str) {
        spool.keep(&batch(name)).unwrap();
        self.acknowledged.push(name.to_owned());
        let segment = spool.segments.back().unwrap();
        self.promised.insert(segment.path.clone(), segment.bytes);
    }

    /// One step of the drainer; the process may stop in it before and after the ledger has committed.
    fn drain(&mut self, spool: &mut Spool, entries: usize) -> bool {
        let Some(portion) = spool.next(entries).unwrap() else {
            return false;
        };
        spool.faults.reached(Step::PositionWritten).unwrap();
        for attempt in &portion.batch.attempts {
            let name = attempt.attempt.to_string();
            if !self.ledger.contains(&name) {
                self.ledger.push(name);
            }
        }
        spool.faults.reached(Step::PositionWritten).unwrap();
        spool.advance(portion.upto);
        true
    }

    /// A process from its start to its end: `outcomes`, half of them drained, as many more, all drained, and one.
    fn live(&mut self, folder: &TempDir, (life, outcomes): (&str, usize), faults: Faults) {
        let settings = Settings {
            // Two records in a segment.
            max_bytes: 32 * 1_500,
            ..settings(folder)
        };
        let mut spool = Spool::claim(&settings).unwrap();
        spool.faults = faults;
        spool.recover().unwrap();
        for number in 0..outcomes {
            self.keep(&mut spool, &format!("{life}-{number}"));
        }
        self.drain(&mut spool, outcomes / 2);
        for number in outcomes..2 * outcomes {
            self.keep(&mut spool, &format!("{life}-{number}"));
        }
        while self.drain(&mut spool, 2) {}
        self.keep(&mut spool, &format!("{life}-last"));
    }

    /// The power goes: of what was never promised, `share` of four is on the disk.
    fn lose_power(&self, folder: &TempDir, share: u64) {
        for path in files(folder, ".log") {
            let promised = self.promised.get(&path).copied();
            let len = path.metadata().unwrap().len();
            let durable = promised.unwrap_or(0);
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(durable + (len - durable) * share / 4).unwrap();
            if promised.is_none() && share == 0 {
                fs::remove_file(&path).unwrap();
            }
        }
    }

    fn check(&self, context: &str) {
        let drained: Vec<_> = self
            .ledger
            .iter()
            .filter(|name| self.acknowledged.contains(name))
            .collect();
        let expected: Vec<_> = self.acknowledged.iter().collect();
        assert_eq!(drained, expected, "{context}");
    }
}

/// Runs until the fault strikes; `None` when it did not.
fn run_until(crash: usize, run: impl FnOnce(Faults)) -> Option<Step> {
    let faults = Faults::crash_after(crash);
    let ended = catch_unwind(AssertUnwindSafe(|| run(faults)));
    let crashed = ended.err()?;
    match crashed.downcast::<Crashed>() {
        Ok(crashed) => Some(crashed.0),
        Err(other) => std::panic::resume_unwind(other),
    }
}

#[test]
fn wherever_the_process_stops_nothing_acknowledged_is_lost_or_out_of_order() {
    let mut moments = Vec::new();
    for share in 0..=4 {
        for crash in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::default();
            let stopped = run_until(crash, |faults| world.live(&folder, ("first", 4), faults));
            let Some(step) = stopped else { break };
            moments.push(step);
            world.lose_power(&folder, share);
            // The next life drains what is left before anything else, and it may stop too.
            let mut spool = open(&folder);
            while world.drain(&mut spool, 3) {}
            world.check(&format!(
                "stopped at {step:?}, moment {crash}, {share}/4 on the disk"
            ));
            assert_eq!(spool.usage(), Usage::default());
        }
    }
    for step in [
        Step::SegmentMade,
        Step::FolderSynced,
        Step::RecordWritten,
        Step::RecordSynced,
        Step::PositionWritten,
        Step::SegmentGone,
    ] {
        assert!(moments.contains(&step), "{step:?} was never reached");
    }
}

#[test]
fn a_second_stop_during_the_next_life_loses_nothing_either() {
    for first in 0.. {
        let mut struck = false;
        for second in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::default();
            struck = run_until(first, |faults| world.live(&folder, ("first", 2), faults)).is_some();
            world.lose_power(&folder, 2);
            let again = run_until(second, |faults| world.live(&folder, ("second", 1), faults));
            let mut spool = open(&folder);
            while world.drain(&mut spool, 3) {}
            world.check(&format!("moments {first} and {second}"));
            if again.is_none() || !struck {
                break;
            }
        }
        if !struck {
            break;
        }
    }
}
