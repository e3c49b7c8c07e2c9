//! The writer with a spool, before a ledger that fails, freezes and comes back.

use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::switch::{Memory, Mode, Switch};
use super::*;
use crate::spool::{MAX_BYTES, Settings, Spool};
use crate::sqlite::{Settings as SqliteSettings, SqliteLedger};

/// A writer with a spool, and what stands around it.
struct Desk {
    memory: Arc<Memory>,
    switch: Arc<Switch>,
    writer: Writer,
    told: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Desk {
    fn open(mode: Mode) -> Self {
        Self::with(Arc::default(), mode, tempfile::tempdir().unwrap(), MAX_BYTES)
    }

    fn with(memory: Arc<Memory>, mode: Mode, folder: TempDir, max_bytes: u64) -> Self {
        let switch = Switch::before(Arc::clone(&memory) as _, mode);
        let spool = spool(&folder, max_bytes);
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&told);
        let writer = Writer::builder(Arc::clone(&switch) as _)
            .spool(spool, 7)
            .on_new(move |attempt| heard.lock().unwrap().push(attempt.attempt.to_string()))
            .spawn();
        Self {
            memory,
            switch,
            writer,
            told,
            folder,
        }
    }

    async fn record(&self, name: &str) -> Result<Recorded, LedgerError> {
        self.writer.record(sample::attempt(name)).await
    }

    async fn is_drained(&self) {
        drained(&self.writer).await;
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

fn spool(folder: &TempDir, max_bytes: u64) -> Spool {
    let settings = Settings {
        folder: folder.path().join("spool"),
        max_bytes,
    };
    Spool::open(&settings).unwrap()
}

/// Waits for the end of the spool, a minute at most.
async fn drained(writer: &Writer) {
    let empty = async {
        while writer.is_behind() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), empty).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_while_the_store_is_down_is_acknowledged_and_drained_in_order() {
    let desk = Desk::open(Mode::Down);
    for name in ["a", "b", "c"] {
        assert_eq!(desk.record(name).await.unwrap(), Recorded::New);
    }
    assert!(desk.writer.is_behind());
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(desk.record("d").await.unwrap(), Recorded::New);
    assert_eq!(desk.memory.names(), ["a", "b", "c", "d"]);
    assert_eq!(desk.told(), ["a", "b", "c", "d"], "each once, when it was kept");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_freezes_costs_two_seconds_once() {
    let desk = Desk::open(Mode::Frozen);
    let began = Instant::now();
    desk.record("a").await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
    for name in ["b", "c"] {
        let began = Instant::now();
        desk.record(name).await.unwrap();
        assert!(
            began.elapsed() < Duration::from_millis(100),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_drained_again_and_counts_once() {
    let desk = Desk::open(Mode::Mute);
    assert_eq!(desk.record("a").await.unwrap(), Recorded::New);
    assert_eq!(desk.memory.names(), ["a"]);
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(desk.memory.names(), ["a"]);
    assert_eq!(desk.memory.given(), 2);
    assert_eq!(desk.told(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_waits_is_known_when_it_comes_again() {
    let desk = Desk::open(Mode::Down);
    desk.record("a").await.unwrap();
    let again = desk.record("a").await.unwrap();
    assert!(matches!(again, Recorded::Duplicate(_)), "{again:?}");
    let other = AttemptRecord {
        digest: [9; 32],
        ..sample::attempt("a")
    };
    assert_eq!(desk.writer.record(other).await.unwrap(), Recorded::Conflict);
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(desk.memory.given(), 1);
    assert_eq!(desk.told(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_resolution_is_refused_until_the_ledger_has_its_attempt() {
    let desk = Desk::open(Mode::Down);
    let resolve = || {
        desk.writer
            .resolve(sample::resolution("a", "unknown", "succeeded"))
    };
    let refused = resolve().await;
    assert!(
        matches!(refused, Err(LedgerError::Unavailable { .. })),
        "{refused:?}"
    );
    desk.record("a").await.unwrap();
    let refused = resolve().await;
    assert!(
        matches!(refused, Err(LedgerError::Unavailable { .. })),
        "{refused:?}"
    );
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(resolve().await.unwrap(), Resolved::Applied);
}

#[tokio::test(start_paused = true)]
async fn past_the_bound_reports_are_refused_and_taken_again_after_draining() {
    let desk = Desk::with(
        Arc::default(),
        Mode::Down,
        tempfile::tempdir().unwrap(),
        8 * 1_024,
    );
    let mut kept = Vec::new();
    let refused = loop {
        let name = format!("a{}", kept.len());
        match desk.record(&name).await {
            Ok(_) => kept.push(name),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, LedgerError::SpoolFull { max_bytes: 8_192 }),
        "{refused:?}"
    );
    assert!(kept.len() > 3);
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(desk.memory.names(), kept);
    assert_eq!(desk.told(), kept, "what was refused was not told");
    desk.record("again").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_store_never_takes_holds_nothing_up_and_is_kept_for_people() {
    let desk = Desk::open(Mode::Down);
    for name in ["a", "poison", "b"] {
        desk.record(name).await.unwrap();
    }
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(desk.memory.names(), ["a", "b"]);
    let entries = std::fs::read_dir(desk.folder.path().join("spool")).unwrap();
    let bad = entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".refused.bad"));
    let text = std::fs::read_to_string(bad.unwrap()).unwrap();
    assert!(
        text.contains("\"poison\"") && text.contains("poisonous"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_for_one_group_at_a_time_and_ever_less_often() {
    let desk = Desk::open(Mode::Down);
    for number in 0..50 {
        desk.record(&format!("a{number}")).await.unwrap();
    }
    sleep(Duration::from_mins(2)).await;
    let asked = desk.switch.asked();
    // One direct commit, five doubling waits, then one question in at most five seconds.
    assert!((24..=56).contains(&asked.len()), "{}", asked.len());
    assert_eq!(asked.last(), Some(&1));
    let began = Instant::now();
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn closing_leaves_what_cannot_be_drained_to_the_next_process() {
    let desk = Desk::open(Mode::Down);
    for name in ["a", "b"] {
        desk.record(name).await.unwrap();
    }
    desk.writer.close().await.unwrap();
    let Desk {
        memory,
        writer,
        folder,
        ..
    } = desk;
    drop(writer);
    assert!(memory.names().is_empty());
    let desk = Desk::with(memory, Mode::Up, folder, MAX_BYTES);
    desk.record("c").await.unwrap();
    desk.is_drained().await;
    assert_eq!(desk.memory.names(), ["a", "b", "c"]);
    assert_eq!(
        desk.told(),
        ["a", "b", "c"],
        "what was inherited is told when it is drained"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_drains_what_the_store_takes() {
    let desk = Desk::open(Mode::Down);
    for name in ["a", "b"] {
        desk.record(name).await.unwrap();
    }
    desk.switch.turn(Mode::Up);
    desk.writer.close().await.unwrap();
    assert_eq!(desk.memory.names(), ["a", "b"]);
    assert!(!desk.writer.is_behind());
}

#[tokio::test(start_paused = true)]
async fn the_spool_comes_to_an_end_under_a_load_that_does_not() {
    let desk = Desk::open(Mode::Down);
    let load: Vec<_> = (0..16)
        .map(|caller| {
            let writer = desk.writer.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    let attempt = sample::attempt(&format!("{caller}-{number}"));
                    writer.record(attempt).await.unwrap();
                    sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    assert!(desk.writer.is_behind());
    desk.switch.turn(Mode::Slow(5));
    desk.is_drained().await;
    for caller in load {
        caller.abort();
    }
}

#[test]
fn a_process_that_dies_while_it_drains_loses_nothing() {
    let memory: Arc<Memory> = Arc::default();
    let folder = tempfile::tempdir().unwrap();
    let life = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.enable_time().start_paused(true).build().unwrap()
    };
    let first = life();
    let folder = first.block_on(async {
        let desk = Desk::with(Arc::clone(&memory), Mode::Down, folder, MAX_BYTES);
        for name in ["a", "b", "c"] {
            desk.record(name).await.unwrap();
        }
        // The ledger commits, and the process dies before it hears of it.
        desk.switch.turn(Mode::Mute);
        sleep(Duration::from_millis(600)).await;
        desk.folder
    });
    assert!(!memory.names().is_empty(), "it died before it drained");
    drop(first);
    life().block_on(async {
        let desk = Desk::with(memory, Mode::Up, folder, MAX_BYTES);
        desk.is_drained().await;
        assert_eq!(desk.memory.names(), ["a", "b", "c"]);
        assert!(desk.memory.given() > 3, "nothing was drained twice");
    });
}

#[tokio::test]
async fn with_a_real_store_the_payment_is_whole_after_draining() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("ledger.db"),
        max_bytes: None,
    };
    let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&settings).await.unwrap());
    let switch = Switch::before(Arc::clone(&ledger), Mode::Up);
    let writer = Writer::builder(Arc::clone(&switch) as _)
        .spool(spool(&folder, MAX_BYTES), 7)
        .spawn();
    writer.record(sample::attempt("a")).await.unwrap();
    switch.turn(Mode::Down);
    // Known to the ledger and not to the spool: told apart when it is drained.
    assert_eq!(writer.record(sample::attempt("a")).await.unwrap(), Recorded::New);
    writer.record_decision(sample::decision(1, "p1"));
    for name in ["b", "c"] {
        assert_eq!(writer.record(sample::attempt(name)).await.unwrap(), Recorded::New);
    }
    switch.turn(Mode::Up);
    drained(&writer).await;
    let payment = ledger.payment(&sample::merchant(), &sample::payment("p1")).await;
    let payment = payment.unwrap().unwrap();
    let names: Vec<_> = payment.attempts.iter().map(|a| a.attempt.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(payment.decisions, [sample::decision(1, "p1")]);
    writer.close().await.unwrap();
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        3 => Just(Mode::Up),
        2 => Just(Mode::Down),
        1 => Just(Mode::Frozen),
        1 => Just(Mode::Mute),
        1 => (1_u64..3_000).prop_map(Mode::Slow),
    ]
}

/// Turns the switch and reports, over and over; at the end the store is back.
async fn live(acts: &[(Mode, usize, u64)]) {
    let desk = Desk::open(Mode::Up);
    let mut acknowledged = Vec::new();
    for (mode, reports, pause) in acts {
        desk.switch.turn(*mode);
        for _ in 0..*reports {
            let name = format!("a{}", acknowledged.len());
            assert_eq!(desk.record(&name).await.unwrap(), Recorded::New);
            acknowledged.push(name);
        }
        sleep(Duration::from_millis(*pause)).await;
    }
    desk.switch.turn(Mode::Up);
    desk.is_drained().await;
    assert_eq!(desk.memory.names(), acknowledged);
    assert_eq!(desk.told(), acknowledged);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn however_the_store_behaves_everything_acknowledged_is_in_it_once_and_in_order(
        acts in prop::collection::vec((mode(), 0_usize..5, 0_u64..8_000), 1..12),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(live(&acts));
    }
}
