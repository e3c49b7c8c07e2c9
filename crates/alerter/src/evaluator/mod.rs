//! Evaluates alert rules, for as long as it holds the lease; any number of processes may stand by.
//!
//! Who evaluates is a matter of work alone: of two that do, the second is told by the store that it is stale. While the
//! store is away the evaluation goes on in memory, and the emergency receiver is told directly.

mod counted;
pub mod emergency;
mod memory;
pub mod metric;
mod name;
mod page;
mod runbooks;
mod standing;
mod subjects;
mod timeline;
mod turn;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use delivery::locale::Locale;
use domain::alert::{Beside, Rules};
use domain::catalogue::Shared;
use domain::clock::SharedClock;
use domain::control::assemble;
use domain::diagnostic::Diagnostic;
use domain::runbook::Runbooks;
use jiff::{SignedDuration, Timestamp};
use ledger::alert::{Advance, Advanced, AlertStore, Edition};
use ledger::compensation::Cases;
use ledger::control::{ControlStore, Editor};
use ledger::{Deliveries, Impact, LedgerError, ObservationSource, Span, Whom};
use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;
use stats::live::Live;
use stats::redis::reader::Board;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use counted::{Counted, hourly, longest};
use emergency::{Emergency, Outage};
use memory::Memory;
use page::Desk;
pub use page::Owed;
use runbooks::InForce;
use subjects::beside;
use timeline::Seen;
use turn::{Known, Turn, take};

/// The lease that decides who evaluates.
const LEASE: &str = "evaluator";

/// How long the lease is good for without being renewed.
const TERM: Duration = Duration::from_secs(5);

/// How long one call of the store may take.
const STORE_LIMIT: Duration = Duration::from_secs(3);

/// How often an evaluation is made anew at once because others were faster.
const TRIES: usize = 8;

/// How often a sign of life is sent.
const WATCHDOG: SignedDuration = SignedDuration::from_mins(1);

/// How often what an hour usually holds is looked up.
const HOURLY: SignedDuration = SignedDuration::from_mins(10);

/// How often the impact of open incidents is measured anew, and how many of them.
const IMPACT: SignedDuration = SignedDuration::from_secs(30);
const MOST_IMPACTS: usize = 5;

/// How long a page waits for the impact to be measured.
const IMPACT_LIMIT: Duration = Duration::from_millis(400);

/// What an evaluator works with.
#[derive(Debug)]
pub struct Parts {
    /// Where alerts are kept.
    pub alerts: Arc<dyn AlertStore>,
    /// Where outcomes are counted.
    pub observations: Arc<dyn ObservationSource>,
    /// Where attempts wait to be settled.
    pub cases: Arc<dyn Cases>,
    /// Where messages that were given up are kept.
    pub deliveries: Arc<dyn Deliveries>,
    /// What operators have set.
    pub control: Arc<dyn ControlStore>,
    /// The health of the channels.
    pub live: Arc<Live>,
    /// What all processes together have counted of the channels; `None` where one process counts everything, and what it
    /// shows is never old.
    pub board: Option<Arc<Mutex<Board>>>,
    /// The providers that channels may have.
    pub catalogue: Shared,
    /// The time.
    pub clock: SharedClock,
    /// The rules that hold until others are put into force.
    pub rules: Rules,
    /// The runbooks that hold until others are put into force.
    pub runbooks: Runbooks,
    /// Who is told where neither rule nor route names anybody.
    pub everybody: Vec<Box<str>>,
    /// The language of each receiver.
    pub locales: BTreeMap<Box<str>, Locale>,
    /// Who is told when the store is away.
    pub emergency: Option<Arc<dyn Emergency>>,
    /// The receiver that gets a sign of life every minute.
    pub watchdog: Option<Box<str>>,
    /// Where the console is, for links.
    pub console: Option<String>,
    /// The name of this process, for the lease.
    pub holder: String,
    /// How often rules are evaluated.
    pub every: Duration,
    /// How long the store may be away before the emergency receiver is told.
    pub patience: SignedDuration,
}

/// Evaluates rules, again and again.
#[derive(Debug)]
pub struct Evaluator {
    parts: Parts,
    rules: Arc<Rules>,
    /// The version of the rules that were put into force; 0 for those that hold until then.
    rules_version: u64,
    runbooks: Arc<Runbooks>,
    /// The same of the runbooks.
    runbooks_version: u64,
    counted: Counted,
    memory: Option<Memory>,
    /// What is found while the store is away.
    shadow: Option<Memory>,
    providers: BTreeMap<String, String>,
    /// What operators have set, and what it makes.
    in_force: Option<InForce>,
    editor: Editor,
    hourly: BTreeMap<domain::alert::Scope, u32>,
    hourly_at: Option<Timestamp>,
    standing: Vec<standing::Gauge>,
    standing_at: Option<Timestamp>,
    impacts: BTreeMap<Uuid, Impact>,
    impacts_at: Option<Timestamp>,
    seen: Seen,
    watched_at: Option<Timestamp>,
    outage: Outage,
    /// Whether this process evaluated when the store was last asked.
    is_leader: bool,
}

impl Evaluator {
    /// An evaluator that has looked at nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            rules: Arc::new(parts.rules.clone()),
            rules_version: 0,
            runbooks: Arc::new(parts.runbooks.clone()),
            runbooks_version: 0,
            counted: Counted::new(Arc::clone(&parts.observations)),
            memory: None,
            shadow: None,
            providers: BTreeMap::new(),
            in_force: None,
            editor: Editor::new(
                Arc::clone(&parts.control),
                parts.catalogue.clone(),
                Arc::clone(&parts.clock),
            ),
            hourly: BTreeMap::new(),
            hourly_at: None,
            standing: Vec::new(),
            standing_at: None,
            impacts: BTreeMap::new(),
            impacts_at: None,
            seen: Seen::default(),
            watched_at: None,
            outage: Outage::default(),
            is_leader: false,
            parts,
        }
    }

    /// Evaluates until `stop` is cancelled. An evaluation that takes long makes the next one come later, and never two
    /// at once.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(self.parts.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let began = Instant::now();
            self.tick().await;
            let took = began.elapsed();
            histogram!(metric::DURATION).record(took.as_secs_f64());
            // At most half of the time is spent on it.
            if took > self.parts.every {
                ticks.reset_after(took);
            }
        }
    }

    /// Evaluates once, when it is this process's turn.
    pub async fn tick(&mut self) {
        let now = self.parts.clock.now();
        let leased = timeout(
            STORE_LIMIT,
            self.parts.alerts.lease(LEASE, &self.parts.holder, TERM),
        )
        .await;
        match leased {
            Ok(Ok(leads)) => self.is_leader = leads,
            Ok(Err(error)) => return self.go_on_without_store(now, &error.to_string()).await,
            Err(_) => return self.go_on_without_store(now, "no answer in time").await,
        }
        if !self.is_leader {
            // What this process knew is old by the time that it leads.
            self.memory = None;
            self.outage.end(self.parts.emergency.as_ref(), now).await;
            return;
        }
        match self.evaluate(now).await {
            Ok(()) => {
                if let Err(error) = self.work_on_runbooks(now).await {
                    tracing::warn!(%error, "runbooks wait for the next look: {error}");
                }
                self.outage.end(self.parts.emergency.as_ref(), now).await;
                let now = self.parts.clock.now().as_second();
                gauge!(metric::LAST_SUCCESS).set(seconds(now));
            }
            Err(error) => {
                counter!(metric::FAILURES).increment(1);
                self.go_on_without_store(now, &error.to_string()).await;
            }
        }
    }

    async fn evaluate(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        self.follow_control().await?;
        self.read_board(now).await?;
        self.look(now).await;
        for _ in 0..TRIES {
            let mut memory = self.memory.clone().unwrap_or_default();
            let mut turn = self.turn(&mut memory, now);
            let mut seen = self.seen.clone();
            let health = self.parts.live.snapshot();
            self.begin_runbooks(&mut turn.advance);
            let control = self.in_force.as_ref().map(|(control, _)| control);
            seen.note(&memory.open, &health, control, &mut turn.advance);
            self.measure(&memory, &mut turn, now).await;
            self.owe(&memory, &mut turn, now);
            if turn.is_still() {
                (self.memory, self.seen) = (Some(memory), seen);
                return Ok(());
            }
            match within(self.parts.alerts.advance(&turn.advance)).await? {
                Advanced::Done { revision } => {
                    if turn.advance.deliveries.iter().any(page::is_heartbeat) {
                        self.watched_at = Some(now);
                    }
                    tell(&turn);
                    memory.wrote(revision, &turn.changed, &turn.advance.at_rest, now);
                    let over: Vec<Uuid> = turn.advance.resolved.iter().map(|over| over.incident).collect();
                    memory.open.retain(|open| !over.contains(&open.id));
                    memory.open.extend(turn.advance.opened);
                    memory.runs.extend(turn.advance.runs);
                    (self.memory, self.seen) = (Some(memory), seen);
                    return Ok(());
                }
                Advanced::Stale => {
                    counter!(metric::STALE).increment(1);
                    self.memory = None;
                    self.read_board(now).await?;
                }
            }
        }
        // Whoever is faster each time evaluates as well.
        Ok(())
    }

    fn turn(&self, memory: &mut Memory, now: Timestamp) -> Turn {
        let mut beside: Beside = beside(&self.parts.live.snapshot(), &self.providers, now);
        beside.hourly.clone_from(&self.hourly);
        beside.gauges.extend(self.standing.iter().cloned());
        if let Some(board) = &self.parts.board {
            subjects::forget_old(&mut beside, &board.lock(), Instant::now());
        }
        let known = Known {
            series: self.counted.known(now),
            beside: &beside,
            providers: &self.providers,
        };
        take(memory, &self.rules, &known, &self.parts.everybody, now)
    }

    /// Leaves the runbooks of what begins with what is to be written.
    fn begin_runbooks(&self, advance: &mut Advance) {
        for incident in &advance.opened {
            let rule = self.rules.rule(&incident.rule);
            let named = rule.and_then(|rule| rule.runbook.as_deref());
            for (run, entry) in runbooks::begin(&self.runbooks, named, incident) {
                advance.runs.push(run);
                advance.entries.push(entry);
            }
        }
    }

    /// Leaves what is to be told with what is to be written.
    fn owe(&self, memory: &Memory, turn: &mut Turn, now: Timestamp) {
        let mut incidents = memory.open.clone();
        incidents.extend(turn.advance.opened.iter().cloned());
        let mut runs = memory.runs.clone();
        runs.extend(turn.advance.runs.iter().cloned());
        let done = self.seen.done();
        let desk = Desk {
            rules: &self.rules,
            instances: &memory.instances,
            incidents: &incidents,
            impacts: &self.impacts,
            runs: &runs,
            done: &done,
            console: self.parts.console.as_deref(),
            locales: &self.parts.locales,
        };
        let owed = turn.notifications.iter().flat_map(|one| desk.owed(one));
        turn.advance.deliveries = owed.filter_map(|owed| owed.delivery(now)).collect();
        if let Some(receiver) = &self.parts.watchdog
            && self
                .watched_at
                .is_none_or(|at| now.duration_since(at) >= WATCHDOG)
        {
            turn.advance.deliveries.extend(page::heartbeat(receiver, now));
        }
    }

    /// Looks at outcomes, and now and then at what an hour usually holds.
    async fn look(&mut self, now: Timestamp) {
        self.counted
            .look(now, longest(&self.rules), &self.providers)
            .await;
        let is_due = |at| now.duration_since(at) >= standing::EVERY;
        if self.standing_at.is_none_or(is_due) {
            self.standing_at = Some(now);
            let asked = standing::look(&*self.parts.cases, &*self.parts.deliveries, now).await;
            // What is not known now neither fires nor resolves anything.
            self.standing = asked.unwrap_or_else(|error| {
                tracing::warn!(%error, "cases and dead letters cannot be counted: {error}");
                Vec::new()
            });
        }
        if self.hourly_at.is_none_or(|at| now.duration_since(at) >= HOURLY) {
            self.hourly_at = Some(now);
            let usual = hourly(&*self.parts.observations, &self.rules, &self.providers, now).await;
            match usual {
                Ok(usual) => self.hourly = usual,
                Err(error) => tracing::warn!(error, "what an hour usually holds is not known: {error}"),
            }
        }
    }

    /// Reads the board when somebody changed it.
    async fn read_board(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        let known = self.memory.as_ref().map(|memory| memory.revision);
        let Some(board) = within(self.parts.alerts.board(known, now)).await? else {
            return Ok(());
        };
        let load = |text: &str| Rules::load(text, "alerts.yaml", None);
        if let Some(read) = newer(board.rules.as_ref(), &mut self.rules_version, load) {
            self.rules = Arc::new(read);
        }
        let load = |text: &str| Runbooks::load(text, "runbooks.yaml", None);
        if let Some(read) = newer(board.runbooks.as_ref(), &mut self.runbooks_version, load) {
            self.runbooks = Arc::new(read);
        }
        let mut memory = Memory::of(board);
        if let Some(shadow) = self.shadow.take() {
            memory.resume(&shadow);
        }
        self.memory = Some(memory);
        Ok(())
    }

    /// Takes over what operators have set, when it has changed.
    async fn follow_control(&mut self) -> Result<(), LedgerError> {
        let revision = within(self.parts.control.revision()).await?;
        if self
            .in_force
            .as_ref()
            .is_some_and(|(control, _)| control.revision == revision)
        {
            return Ok(());
        }
        let Some(control) = within(self.parts.control.control()).await? else {
            return Ok(());
        };
        if let Ok(assembled) = assemble(&control, &self.parts.catalogue.load().providers()) {
            let configuration = assembled.configuration;
            self.providers = configuration
                .channels
                .iter()
                .map(|(_, channel)| (channel.id.to_string(), channel.provider.clone()))
                .collect();
            self.in_force = Some((control, configuration));
        }
        Ok(())
    }

    /// Measures what incidents have cost: those that begin at once, the others now and then. A page does not wait long
    /// for it.
    async fn measure(&mut self, memory: &Memory, turn: &mut Turn, now: Timestamp) {
        let is_due = self.impacts_at.is_none_or(|at| now.duration_since(at) >= IMPACT);
        let mut incidents: Vec<_> = turn.advance.opened.iter().take(MOST_IMPACTS).cloned().collect();
        if is_due {
            self.impacts_at = Some(now);
            let room = MOST_IMPACTS.saturating_sub(incidents.len());
            incidents.extend(memory.open.iter().rev().take(room).cloned());
        }
        let ids: Vec<Uuid> = memory
            .open
            .iter()
            .chain(&turn.advance.opened)
            .map(|one| one.id)
            .collect();
        self.impacts.retain(|id, _| ids.contains(id));
        let until = Instant::now() + IMPACT_LIMIT;
        for incident in incidents {
            let from = incident.opened_at.checked_sub(SignedDuration::from_mins(1));
            let span = Span {
                from: from.unwrap_or(incident.opened_at),
                until: now,
            };
            let whom = whom(&incident.labels, &self.providers);
            let asked = self.parts.observations.impact(span, &whom, 5);
            let Ok(Ok(impact)) = tokio::time::timeout_at(until, asked).await else {
                break;
            };
            if self.impacts.get(&incident.id) != Some(&impact) {
                turn.advance
                    .impacts
                    .push((incident.id, timeline::document(&impact)));
                self.impacts.insert(incident.id, impact);
            }
        }
    }

    /// Evaluates on what is known, writes nothing, and tells the emergency receiver. What was written last may or may
    /// not be there: the board is read anew when the store is back, and what was found meanwhile is found again.
    async fn go_on_without_store(&mut self, now: Timestamp, error: &str) {
        if !self.outage.goes_on() {
            tracing::error!(error, "the store of alerts does not answer: {error}");
        }
        self.look_for_readings(now).await;
        let known = self.shadow.take().or_else(|| self.memory.take());
        let mut shadow = known.unwrap_or_default();
        drop(self.turn(&mut shadow, now));
        let firing: Vec<String> = shadow
            .instances
            .iter()
            .filter(|instance| instance.is_audible())
            .map(|instance| words::title(instance, self.rules.rule(&instance.rule), Locale::En))
            .collect();
        self.shadow = Some(shadow);
        let patience = if self.is_leader {
            self.parts.patience
        } else {
            // Who led is the first to tell; the others, in case that it is gone as well.
            self.parts.patience.saturating_mul(4)
        };
        self.outage
            .note(self.parts.emergency.as_ref(), firing, patience, now)
            .await;
    }

    /// Outcomes come from the same store: it is asked once more, for not everything may be away.
    async fn look_for_readings(&mut self, now: Timestamp) {
        let limit = Duration::from_secs(1);
        let look = self.counted.look(now, longest(&self.rules), &self.providers);
        let _late = timeout(limit, look).await;
    }
}

/// What the document in force says, when it is of another version than the one `known`.
fn newer<T>(
    edition: Option<&Edition>,
    known: &mut u64,
    load: impl Fn(&str) -> Result<T, Vec<Diagnostic>>,
) -> Option<T> {
    let edition = edition.filter(|edition| edition.version != *known)?;
    let version = edition.version;
    *known = version;
    match load(&edition.text) {
        Ok(read) => Some(read),
        // It was checked when it was put into force: a later release wrote it.
        Err(wrong) => {
            let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            let wrong = wrong.join("; ");
            tracing::error!(
                version,
                wrong,
                "version {version} cannot be read, what was before goes on: {wrong}"
            );
            None
        }
    }
}

/// Answers that are waited for no longer than a store may take.
async fn within<T>(answer: ledger::Answer<'_, T>) -> Result<T, LedgerError> {
    timeout(STORE_LIMIT, answer)
        .await
        .unwrap_or_else(|_| Err(LedgerError::silent("answer in time")))
}

fn seconds(number: i64) -> f64 {
    // Seconds of this century are exact.
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Whose outcomes an alert with `labels` is about.
fn whom(labels: &BTreeMap<String, String>, providers: &BTreeMap<String, String>) -> Whom {
    use domain::id::{ChannelId, MerchantId};
    let value = |name: &str| labels.get(name).cloned();
    let mut channels: Vec<ChannelId> = value("channel")
        .and_then(|channel| ChannelId::new(channel).ok())
        .into_iter()
        .collect();
    if let (true, Some(provider)) = (channels.is_empty(), value("provider")) {
        let of_provider = providers.iter().filter(|(_, known)| **known == provider);
        channels = of_provider
            .filter_map(|(channel, _)| ChannelId::new(channel).ok())
            .collect();
    }
    Whom {
        channels,
        method: value("method"),
        issuer: value("issuer"),
        region: value("region"),
        merchant: value("merchant").and_then(|merchant| MerchantId::new(merchant).ok()),
    }
}

/// Logs what happened, once it is written.
fn tell(turn: &Turn) {
    for incident in &turn.advance.opened {
        tracing::warn!(rule = incident.rule, incident = %incident.id, "an alert fires: {}", incident.title);
    }
    for over in &turn.advance.resolved {
        tracing::info!(incident = %over.incident, "an incident is over: {}", over.how);
    }
}
