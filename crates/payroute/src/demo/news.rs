//! What there is to tell while the demo runs: scripted events that begin and end, and breakers that change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::v1;
use proto::v1::channel_health_service_client::ChannelHealthServiceClient;
use simulator::live::Pace;
use simulator::scenario::Scenario;
use simulator::scenario::event::{Event, Kind};
use tonic::transport::Channel;

/// Health is sent this often at most, in milliseconds: as often as the wire allows.
const EVERY_MS: u32 = 100;

/// So much is kept; a screen shows less.
const KEPT: usize = 64;

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Since the start of the demo.
    pub(super) at: Duration,
    /// In words.
    pub(super) text: String,
}

/// The latest health, and what happened.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Every channel, as Payroute sees it.
    pub(super) health: Vec<v1::ChannelHealth>,
    /// The latest news, oldest first.
    pub(super) news: VecDeque<News>,
    /// How many there were in all.
    pub(super) told: usize,
    states: BTreeMap<String, String>,
    running: Vec<bool>,
}

impl Board {
    fn tell(&mut self, at: Duration, text: String) {
        if self.news.len() == KEPT {
            self.news.pop_front();
        }
        self.news.push_back(News { at, text });
        self.told += 1;
    }

    /// Takes a new state of health, and tells which breakers changed.
    fn hear(&mut self, at: Duration, health: Vec<v1::ChannelHealth>) {
        for channel in &health {
            let before = self
                .states
                .insert(channel.channel_id.clone(), channel.breaker_state.clone());
            let Some(before) = before.filter(|before| *before != channel.breaker_state) else {
                continue;
            };
            // On the way back the reason is still that of the trip, and no news.
            let reason = match (channel.breaker_state.as_str(), channel.reason.as_str()) {
                ("tripped", reason) if !reason.is_empty() => format!(" ({reason})"),
                _ => String::new(),
            };
            let (id, state) = (&channel.channel_id, &channel.breaker_state);
            self.tell(at, format!("{id}: {before} -> {state}{reason}"));
        }
        self.health = health;
    }

    /// Tells which of the scenario's events have begun or ended by `at`.
    pub(super) fn follow(&mut self, at: Duration, scenario: &Scenario) {
        self.running.resize(scenario.events.len(), false);
        for (number, event) in scenario.events.iter().enumerate() {
            let runs = event.strength(at) > 0.0;
            let Some(ran) = self.running.get_mut(number) else {
                continue;
            };
            if std::mem::replace(ran, runs) == runs || !is_news(&event.kind) {
                continue;
            }
            let what = event.kind.as_str();
            let place = place(event);
            let turn = if runs { "begins" } else { "is over" };
            self.tell(at, format!("*** {what} of {place} {turn} ***"));
        }
    }
}

/// What will happen, in words: an outage of this from then until then, and so on.
pub(super) fn script(scenario: &Scenario) -> Vec<String> {
    let events = scenario.events.iter().filter(|event| is_news(&event.kind));
    let events = events.map(|event| {
        let [start, end] = [&event.start_s, &event.end_s].map(|time| time.get());
        let (what, place) = (event.kind.as_str(), place(event));
        format!("{what} of {place} from {start:.0} s to {end:.0} s")
    });
    events.collect()
}

fn place(event: &Event) -> &str {
    event.channel.as_ref().map_or("all channels", |id| id.as_str())
}

/// Whether people should hear of it. The small print of an outage (lost and double answers) would only hide it.
const fn is_news(kind: &Kind) -> bool {
    !matches!(kind, Kind::LostAnswers { .. } | Kind::DuplicateAnswers { .. })
}

/// The board, for those who write and those who look.
#[derive(Debug, Default)]
pub(super) struct Newsroom(Mutex<Board>);

impl Newsroom {
    /// The board. Not to be held across an await.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        // Nothing is left half-written, so the board of a task that died is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows channel health until Payroute ends the stream.
    pub(super) async fn listen(&self, connection: Channel, pace: Pace) {
        let mut client = ChannelHealthServiceClient::new(connection);
        let request = v1::WatchChannelHealthRequest {
            min_interval_ms: EVERY_MS,
            ..v1::WatchChannelHealthRequest::default()
        };
        let mut stream = match client.watch_channel_health(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => {
                tracing::error!(%status, "channel health cannot be followed: {status}");
                return;
            }
        };
        while let Ok(Some(health)) = stream.message().await {
            self.board().hear(pace.now(), health.channels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shop;
    use super::*;

    fn health(state: &str, reason: &str) -> Vec<v1::ChannelHealth> {
        vec![v1::ChannelHealth {
            channel_id: "a".to_owned(),
            breaker_state: state.to_owned(),
            reason: reason.to_owned(),
            ..v1::ChannelHealth::default()
        }]
    }

    fn told(board: &Board) -> Vec<&str> {
        board.news.iter().map(|news| news.text.as_str()).collect()
    }

    #[test]
    fn a_breaker_is_news_when_it_changes_and_only_then() {
        let mut board = Board::default();
        for (state, reason) in [
            ("healthy", ""),
            ("tripped", "2 of 3 timed out"),
            ("probing", "2 of 3 timed out"),
            ("healthy", ""),
        ] {
            board.hear(Duration::ZERO, health(state, reason));
        }
        assert_eq!(
            told(&board),
            [
                "a: healthy -> tripped (2 of 3 timed out)",
                "a: tripped -> probing",
                "a: probing -> healthy"
            ]
        );
    }

    #[test]
    fn an_outage_is_told_once_when_it_begins_and_once_when_it_is_over() {
        let world = shop::world(60, 1).unwrap();
        let mut board = Board::default();
        for second in 0..=60 {
            board.follow(Duration::from_secs(second), world.scenario());
        }
        let outages = board
            .news
            .iter()
            .filter(|news| news.text.contains("outage of wechat_direct"));
        let times: Vec<_> = outages.map(|news| news.at.as_secs()).collect();
        assert_eq!(times.len(), 2, "{:?}", board.news);
    }
}
