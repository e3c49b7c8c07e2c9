//! Random lives of a spool against a list.

use proptest::prelude::*;

use super::*;

/// What happens to a spool.
#[derive(Clone, Debug)]
enum Act {
    /// A group of so many attempts is kept.
    Keep(usize),
    /// A portion of at least so many entries is drained.
    Drain(usize),
    /// The ledger got a portion, and the process ends before it noted that.
    DrainAndDie(usize),
    /// The process ends.
    Restart,
    /// The process ends while it writes a record: so many bytes of it are on the disk.
    Tear(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1_usize..4).prop_map(Act::Keep),
        4 => (1_usize..6).prop_map(Act::Drain),
        1 => (1_usize..6).prop_map(Act::DrainAndDie),
        1 => Just(Act::Restart),
        2 => (0_usize..2_000).prop_map(Act::Tear),
    ]
}

/// A spool, what was acknowledged, and what the ledger was given.
struct Life {
    folder: TempDir,
    spool: Option<Spool>,
    acknowledged: Vec<String>,
    given: Vec<String>,
}

impl Life {
    fn act(&mut self, act: &Act) {
        let spool = self.spool.as_mut().unwrap();
        match act {
            Act::Keep(count) => {
                let start = self.acknowledged.len();
                let names: Vec<_> = (start..start + count).map(|n| format!("a{n}")).collect();
                let batch = Batch {
                    attempts: names.iter().map(|name| sample::attempt(name)).collect(),
                    ..Batch::default()
                };
                if spool.keep(&batch).is_ok() {
                    self.acknowledged.extend(names);
                }
            }
            Act::Drain(entries) => {
                if let Some(portion) = spool.next(*entries).unwrap() {
                    self.given
                        .extend(portion.batch.attempts.iter().map(|a| a.attempt.to_string()));
                    spool.advance(portion.upto);
                }
            }
            Act::DrainAndDie(entries) => {
                if let Some(portion) = spool.next(*entries).unwrap() {
                    self.given
                        .extend(portion.batch.attempts.iter().map(|a| a.attempt.to_string()));
                }
                self.restart();
            }
            Act::Restart => self.restart(),
            Act::Tear(bytes) => {
                let before = spool.segments.back().map(|s| (s.path.clone(), s.bytes));
                let torn = spool.keep(&batch("torn")).is_ok();
                let after = spool.segments.back().map(|s| (s.path.clone(), s.bytes));
                if let (true, Some((path, len))) = (torn, after) {
                    let durable = before
                        .filter(|(earlier, _)| *earlier == path)
                        .map_or(0, |(_, len)| len);
                    self.spool = None;
                    let left = durable + u64::try_from(*bytes).unwrap() % (len - durable);
                    File::options()
                        .write(true)
                        .open(&path)
                        .unwrap()
                        .set_len(left)
                        .unwrap();
                }
                self.restart();
            }
        }
    }

    fn restart(&mut self) {
        self.spool = None;
        self.spool = Some(open(&self.folder));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_comes_out_in_order_and_again_only_after_a_crash(
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Some(open(&folder));
        let mut life = Life { folder, spool, acknowledged: Vec::new(), given: Vec::new() };
        let mut deaths = 0;
        for act in &acts {
            life.act(act);
            deaths += usize::from(matches!(act, Act::DrainAndDie(_)));
        }
        life.restart();
        life.given.extend(drain(life.spool.as_mut().unwrap(), 7));
        let mut once = Vec::new();
        let mut again = 0;
        for name in life.given {
            if once.contains(&name) {
                again += 1;
            } else {
                once.push(name);
            }
        }
        prop_assert_eq!(once, life.acknowledged);
        prop_assert!(deaths > 0 || again == 0, "{} were drained twice without a crash", again);
    }
}
