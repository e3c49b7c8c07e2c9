//! What operators change, as Route sees it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::brain::Forced;
use domain::catalogue::{Catalogue, Shared};
use domain::control::{Actor, Change, Control, Document, Kind, assemble};
use domain::limit::{Measure, Rule, Scope as LimitScope};
use domain::suspension::Scope;
use jiff::SignedDuration;
use ledger::control::{AuditEntry, Changed, ControlStore, Editor, Follower, Heading, POLL, Write};
use ledger::{Answer, LedgerError, SqliteLedger, SqliteSettings};
use parking_lot::Mutex;
use payroute_router::adopt::Adopter;
use payroute_router::control_file;
use proto::v1;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::shop::Desk;

/// How often a test looks whether it has come to pass, on a clock that stands still meanwhile.
const TICK: Duration = Duration::from_millis(10);

/// The documents of version `number`: the channels' timeout tells which, as the policy's version does.
fn documents(number: u32) -> [String; 2] {
    let channel = |name: &str| {
        format!(
            "  - {{id: {name}, provider: payroute, methods: [pay], currencies: [CNY], timeout_ms: {}, \
             accounts: [{{id: main}}]}}\n",
            1_000 + number
        )
    };
    [
        format!("channels:\n{}{}", channel("a"), channel("b")),
        format!("version: {number}\nname: n\ntimezone: UTC\ndefault: {{priority: [a, b]}}\n"),
    ]
}

/// A control store in memory, whose answers need no time.
#[derive(Debug, Default)]
struct Shelf {
    control: Mutex<Option<Control>>,
    policies: Mutex<HashMap<u64, Document>>,
    is_down: AtomicBool,
    is_silent: AtomicBool,
    revisions: watch::Sender<u64>,
}

impl Shelf {
    fn answer<'a, T: Send + 'a>(&self, answer: T) -> Answer<'a, T> {
        let is_down = self.is_down.load(Ordering::SeqCst);
        Box::pin(async move {
            if is_down {
                Err(LedgerError::Closed)
            } else {
                Ok(answer)
            }
        })
    }
}

impl ControlStore for Shelf {
    fn control(&self) -> Answer<'_, Option<Control>> {
        self.answer(self.control.lock().clone())
    }

    fn revision(&self) -> Answer<'_, u64> {
        self.answer(self.control.lock().as_ref().map_or(0, |control| control.revision))
    }

    fn change<'a>(&'a self, write: &'a Write) -> Answer<'a, Changed> {
        let control = write.control();
        self.policies
            .lock()
            .insert(control.policy.version, control.policy.clone());
        *self.control.lock() = Some(control.clone());
        if !self.is_silent.load(Ordering::SeqCst) {
            self.revisions.send_replace(control.revision);
        }
        self.answer(Changed::Done)
    }

    fn documents(&self, _: Kind, _: Option<u64>, _: u32) -> Answer<'_, Vec<Heading>> {
        self.answer(Vec::new())
    }

    fn document(&self, _: Kind, version: u64) -> Answer<'_, Option<Document>> {
        self.answer(self.policies.lock().get(&version).cloned())
    }

    fn audit(&self, _: Option<u64>, _: u32) -> Answer<'_, Vec<AuditEntry>> {
        self.answer(Vec::new())
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }
}

/// A routing service that follows a store.
struct Scene {
    desk: Desk,
    shelf: Arc<Shelf>,
    editor: Editor,
    stop: CancellationToken,
    following: JoinHandle<()>,
}

impl Scene {
    /// With version 1 of the documents adopted, and time that stands still from now on.
    async fn open(file: Option<PathBuf>) -> Self {
        let desk = Desk::open().await;
        tokio::time::pause();
        let shelf = Arc::new(Shelf::default());
        let store: Arc<dyn ControlStore> = Arc::clone(&shelf) as _;
        let clock = Arc::clone(&desk.clock) as _;
        let editor = Editor::new(
            Arc::clone(&store),
            Shared::new(Catalogue::built_in().unwrap()),
            clock,
        );
        let stop = CancellationToken::new();
        let adopter = Adopter::new(Arc::clone(&desk.routing), file);
        let following = tokio::spawn(adopter.follow(Follower::new(store, 0), stop.clone()));
        let scene = Self {
            desk,
            shelf,
            editor,
            stop,
            following,
        };
        let [channels, policy] = documents(1);
        scene.editor.import(&channels, &policy).await.unwrap();
        scene.until(|decision| decision.policy_version == "1").await;
        scene
    }

    async fn make(&self, change: Change) {
        let by = Actor::new("ann").unwrap();
        self.editor.make(change, &by, None).await.unwrap();
    }

    /// How long it took until Route answers so.
    async fn until(&self, so: impl Fn(&v1::RouteResponse) -> bool) -> Duration {
        let began = Instant::now();
        while !so(&self.desk.route("p")) {
            assert!(began.elapsed() < 10 * POLL, "never");
            sleep(TICK).await;
        }
        began.elapsed()
    }

    /// Lets the follower look several times.
    async fn settle(&self) {
        sleep(5 * POLL).await;
    }

    async fn close(self) {
        self.stop.cancel();
        self.following.await.unwrap();
    }
}

fn chosen(decision: &v1::RouteResponse) -> &str {
    &decision.channel.as_ref().unwrap().channel_id
}

fn suspend(channel: &str) -> Change {
    Change::Suspend {
        scope: Scope {
            channel: Some(channel.parse().unwrap()),
            ..Scope::default()
        },
        reason: "maintenance".to_owned(),
        from: None,
        until: None,
    }
}

#[tokio::test]
async fn a_suspension_closes_its_channel_at_once_where_the_store_tells() {
    let scene = Scene::open(None).await;
    assert_eq!(chosen(&scene.desk.route("p")), "a");
    scene.make(suspend("a")).await;
    let took = scene.until(|decision| chosen(decision) == "b").await;
    assert!(took < POLL / 10, "{took:?}");
    scene.make(Change::LiftSuspension { id: 2 }).await;
    scene.until(|decision| chosen(decision) == "a").await;
    scene.close().await;
}

#[tokio::test]
async fn a_suspension_closes_its_channel_within_one_poll_where_the_store_is_silent() {
    let scene = Scene::open(None).await;
    scene.shelf.is_silent.store(true, Ordering::SeqCst);
    scene.make(suspend("a")).await;
    let took = scene.until(|decision| chosen(decision) == "b").await;
    assert!(took <= POLL + 2 * TICK, "{took:?}");
    scene.close().await;
}

#[tokio::test]
async fn a_store_that_is_down_changes_nothing_until_it_is_back() {
    let scene = Scene::open(None).await;
    scene.make(suspend("a")).await;
    scene.until(|decision| chosen(decision) == "b").await;
    scene.shelf.is_down.store(true, Ordering::SeqCst);
    *scene.shelf.control.lock() = None;
    scene.settle().await;
    assert_eq!(chosen(&scene.desk.route("p")), "b");

    scene.shelf.is_down.store(false, Ordering::SeqCst);
    scene.settle().await;
    // A store that was emptied says nothing either: there is no revision to adopt.
    assert_eq!(chosen(&scene.desk.route("p")), "b");
    let [channels, policy] = documents(2);
    scene.editor.import(&channels, &policy).await.unwrap();
    scene.until(|decision| decision.policy_version == "2").await;
    assert_eq!(chosen(&scene.desk.route("p")), "a");
    scene.close().await;
}

#[tokio::test]
async fn a_revision_that_does_not_assemble_is_passed_over() {
    let scene = Scene::open(None).await;
    let mut newer = scene.shelf.control.lock().clone().unwrap();
    newer.revision = 2;
    newer.channels.text = newer.channels.text.replace("payroute", "pay_of_tomorrow").into();
    *scene.shelf.control.lock() = Some(newer);
    scene.settle().await;
    assert_eq!(scene.desk.route("p").policy_version, "1");
    let [channels, policy] = documents(3);
    scene.editor.import(&channels, &policy).await.unwrap();
    scene.until(|decision| decision.policy_version == "3").await;
    scene.close().await;
}

#[tokio::test]
async fn an_override_holds_until_it_is_released_or_ends() {
    let scene = Scene::open(None).await;
    let force = || Change::ForceBreaker {
        channel: "a".parse().unwrap(),
        forced: Forced::Out,
        until: scene.desk.pass(SignedDuration::ZERO) + SignedDuration::from_mins(10),
        reason: "incident".to_owned(),
    };
    let release = Change::ReleaseBreaker {
        channel: "a".parse().unwrap(),
    };
    scene.make(force()).await;
    scene.until(|decision| chosen(decision) == "b").await;
    scene.make(release).await;
    scene.until(|decision| chosen(decision) == "a").await;
    scene.make(force()).await;
    scene.until(|decision| chosen(decision) == "b").await;
    // By itself, with no further revision.
    scene.desk.pass(SignedDuration::from_mins(10));
    assert_eq!(chosen(&scene.desk.route("p")), "a");
    scene.close().await;
}

#[tokio::test]
async fn a_limit_that_is_set_counts_from_then_on_and_what_it_counted_stays() {
    let scene = Scene::open(None).await;
    let limit = |most| Change::SetLimit {
        limit: domain::control::LimitSetting::Rule(Rule {
            id: "cap".to_owned(),
            scope: LimitScope {
                channel: Some("a".parse().unwrap()),
                ..LimitScope::default()
            },
            per: Vec::new(),
            measure: Measure::Count,
            most,
            window_secs: 600,
            hard: true,
        }),
    };
    scene.make(limit(0)).await;
    scene.until(|decision| chosen(decision) == "b").await;
    scene.make(limit(1)).await;
    // The one that shows it takes the place.
    scene.until(|decision| chosen(decision) == "a").await;
    assert_eq!(chosen(&scene.desk.route("p")), "b");
    scene.make(limit(2)).await;
    scene.until(|decision| chosen(decision) == "a").await;
    assert_eq!(chosen(&scene.desk.route("p")), "b");
    scene.close().await;
}

#[tokio::test]
async fn what_was_adopted_last_is_kept_for_a_start_without_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("control.json");
    let scene = Scene::open(Some(file.clone())).await;
    scene.make(suspend("a")).await;
    scene.until(|decision| chosen(decision) == "b").await;
    let last = scene.shelf.control.lock().clone();
    // Once it has ended, whatever it began is finished.
    scene.close().await;
    assert_eq!(control_file::load(&file).unwrap(), last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decision_is_made_by_new_channels_and_an_old_policy() {
    let desk = Desk::open().await;
    let providers = ["payroute"];
    let revision = |number: u32| {
        let document = |text: &str| Document {
            version: 1,
            text: text.into(),
            author: Actor::file(),
            note: String::new(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let [channels, policy] = documents(number);
        let control = Control {
            revision: u64::from(number),
            channels: document(&channels),
            policy: document(&policy),
            latest_policy: 1,
            policies_before: Vec::new(),
            suspensions: Vec::new(),
            breakers: Vec::new(),
            accounts: Vec::new(),
            limits: Vec::new(),
            imported: None,
        };
        assemble(&control, &providers).unwrap()
    };
    desk.routing.adopt(revision(1), &[]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut last, mut seen) = (1, 0_u32);
                    while !done.load(Ordering::SeqCst) {
                        let decision = desk.route("p");
                        let policy: u32 = decision.policy_version.parse().unwrap();
                        let channels = decision.channel.unwrap().timeout_ms - 1_000;
                        assert_eq!(channels, policy);
                        assert!(policy >= last, "{policy} after {last}");
                        seen += u32::from(policy > last);
                        last = policy;
                    }
                    seen
                })
            })
            .collect();
        for number in 2..=300 {
            desk.routing.adopt(revision(number), &[]).unwrap();
            let decision = desk.route("p");
            assert_eq!(decision.policy_version, number.to_string(), "adopted is adopted");
        }
        done.store(true, Ordering::SeqCst);
        let seen: u32 = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        assert!(seen > 0, "nobody saw a change: the test says nothing");
    });
}

#[tokio::test]
async fn a_change_in_the_ledger_is_adopted() {
    let desk = Desk::open().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: folder.path().join("ledger.db"),
        max_bytes: None,
    };
    let store: Arc<dyn ControlStore> = Arc::new(SqliteLedger::open(&settings).await.unwrap());
    let clock = Arc::clone(&desk.clock) as _;
    let editor = Editor::new(
        Arc::clone(&store),
        Shared::new(Catalogue::built_in().unwrap()),
        clock,
    );
    let adopter = Adopter::new(Arc::clone(&desk.routing), None);
    let mut follower = Follower::new(store, 0);
    let [channels, policy] = documents(1);
    editor.import(&channels, &policy).await.unwrap();
    assert!(adopter.adopt(follower.next().await).await);
    assert_eq!(chosen(&desk.route("p")), "a");
    let by = Actor::new("ann").unwrap();
    editor.make(suspend("a"), &by, None).await.unwrap();
    assert!(adopter.adopt(follower.next().await).await);
    assert_eq!(chosen(&desk.route("p")), "b");
}
