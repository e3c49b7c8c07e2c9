//! The live view: what a look at the running demo shows, as lines of text.

use std::time::Duration;

use proto::v1;
use simulator::world::{ChannelIndex, World};

use super::measure::share;
use super::news::{Board, News};
use super::record::{Book, Payment};

/// Width that every line keeps within: a terminal's usual 80, less one so that none wraps.
pub(super) const WIDTH: usize = 79;

/// Traffic is shared out over the latest seconds, so that a switch is seen as it happens.
const LATEST: Duration = Duration::from_secs(3);

/// A full share of traffic is drawn as this many marks.
const BAR: usize = 20;

/// So many of the latest news are shown.
const NEWS: usize = 6;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As usual.
    Plain,
    /// A title.
    Strong,
    /// Something is coming back.
    Caution,
    /// Something is out.
    Alarm,
}

/// A line of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What it says, at most [`WIDTH`] characters.
    pub(super) text: String,
    /// How it is meant.
    pub(super) tone: Tone,
}

impl Line {
    fn new(tone: Tone, text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self {
            text: text.chars().take(WIDTH).collect(),
            tone,
        }
    }
}

/// Everything that the view is made of.
pub(super) struct View<'a> {
    /// Since the start of the demo.
    pub(super) now: Duration,
    /// What happens.
    pub(super) world: &'a World,
    /// What was written down.
    pub(super) book: &'a Book,
    /// What Payroute says of its channels, and the news.
    pub(super) board: &'a Board,
}

impl View<'_> {
    /// The whole view. It has the same number of lines every time, so that it can be drawn in place.
    pub(super) fn frame(&self) -> Vec<Line> {
        let mut lines = vec![
            Line::new(Tone::Strong, self.title()),
            Line::new(Tone::Plain, ""),
            Line::new(
                Tone::Strong,
                format!(
                    "{:<18}{:>9}{:>9}  {:<10}{:<BAR$} {:>8}",
                    "channel", "success", "p95", "breaker", "share of traffic", "left for",
                ),
            ),
        ];
        lines.extend(
            self.world
                .channels()
                .map(|(index, channel)| self.row(index, channel.id.as_str())),
        );
        lines.push(Line::new(Tone::Plain, ""));
        lines.push(Line::new(Tone::Strong, self.standing()));
        lines.push(Line::new(Tone::Plain, ""));
        let shown = self.board.news.len().min(NEWS);
        let latest = self.board.news.iter().skip(self.board.news.len() - shown);
        lines.extend(latest.map(|news| Line::new(Tone::Plain, told(news))));
        lines.resize(lines.len() + NEWS - shown, Line::new(Tone::Plain, ""));
        lines
    }

    /// The view in one line, for where it cannot be drawn in place.
    pub(super) fn line(&self) -> String {
        let states = self
            .board
            .health
            .iter()
            .filter(|channel| channel.breaker_state != "healthy");
        let states: Vec<_> = states
            .map(|channel| format!("{} {}", channel.channel_id, channel.breaker_state))
            .collect();
        let states = if states.is_empty() {
            "all healthy".to_owned()
        } else {
            states.join(", ")
        };
        format!("{}  {}  {states}", clock(self.now), self.standing())
    }

    fn title(&self) -> String {
        format!(
            "Payroute demo   {} of {}   {:.0} payments/s   seed {}",
            clock(self.now),
            clock(self.world.scenario().duration()),
            self.latest(None) / LATEST.as_secs_f64(),
            self.world.seed(),
        )
    }

    fn row(&self, index: ChannelIndex, id: &str) -> Line {
        let health = self.board.health.iter().find(|channel| channel.channel_id == id);
        let state = health.map_or("", |channel| channel.breaker_state.as_str());
        let minute = health.and_then(|channel| channel.windows.iter().find(|view| view.window_secs == 60));
        let rate = minute.and_then(|view| view.success_bp);
        let rate = rate.map_or_else(|| "-".to_owned(), |bp| percent(f64::from(bp) / 1e4));
        let p95 = minute.and_then(|view: &v1::WindowView| view.latency_ms_p95);
        let p95 = p95.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
        let part = self.latest(Some(index)) / self.latest(None).max(1.0);
        let marks = (1..=BAR).filter(|mark| steps(*mark) - 0.5 <= part * steps(BAR));
        let bar = "#".repeat(marks.count());
        let left = self.book.left.get(&index).copied().unwrap_or(0);
        let tone = match state {
            "healthy" | "" => Tone::Plain,
            "tripped" | "forced_out" => Tone::Alarm,
            _ => Tone::Caution,
        };
        let text = format!("{id:<18}{rate:>9}{p95:>9}  {state:<10}{bar:<BAR$} {left:>8}");
        Line::new(tone, text)
    }

    /// How payments fared until now, with Payroute and without.
    fn standing(&self) -> String {
        let payments = &self.book.payments;
        let rate = |wanted: fn(&Payment) -> bool| {
            let wanted = payments.iter().filter(|payment| wanted(payment)).count();
            share(wanted, payments.len()).map_or_else(|| "-".to_owned(), percent)
        };
        let (with, without) = (rate(Payment::paid), rate(|payment| payment.paid_on_fixed));
        format!("paid: {with} with Payroute, {without} on fixed channels")
    }

    /// Submits of the latest seconds, of one channel or of all.
    fn latest(&self, channel: Option<ChannelIndex>) -> f64 {
        let since = self.now.saturating_sub(LATEST);
        let begun = self.book.begun.iter().rev().take_while(|(at, _)| *at >= since);
        let begun = begun.filter(|(_, there)| channel.is_none_or(|channel| channel == *there));
        steps(begun.count())
    }
}

/// A piece of news in a line.
pub(super) fn told(news: &News) -> String {
    format!("{}  {}", clock(news.at), news.text)
}

/// A share as people read it.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let secs = time.as_secs();
    format!("{}:{:02}", secs / 60, secs % 60)
}

fn steps(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::super::shop;
    use super::*;

    fn view<'a>(world: &'a World, book: &'a Book, board: &'a Board) -> View<'a> {
        View {
            now: Duration::from_secs(61),
            world,
            book,
            board,
        }
    }

    fn frame(board: &Board) -> Vec<Line> {
        let world = shop::world(60, 1).unwrap();
        view(&world, &Book::default(), board).frame()
    }

    #[test]
    fn the_view_fits_an_ordinary_terminal_and_keeps_its_height() {
        let mut board = Board::default();
        let quiet = frame(&board);
        for number in 0..9 {
            board.news.push_back(News {
                at: Duration::from_secs(number),
                text: "x".repeat(200),
            });
        }
        let busy = frame(&board);
        assert_eq!(quiet.len(), busy.len());
        assert!(busy.len() < 24, "{}", busy.len());
        assert!(busy.iter().all(|line| line.text.chars().count() <= WIDTH));
        assert!(
            busy.last().unwrap().text.starts_with("0:08"),
            "the latest news are shown"
        );
    }

    #[test]
    fn a_channels_share_is_of_the_latest_traffic() {
        let world = shop::world(60, 1).unwrap();
        let channels: Vec<_> = world.channels().map(|(index, _)| index).collect();
        let (before, now) = (Duration::from_secs(10), Duration::from_mins(1));
        let begun = [(before, 1), (now, 0), (now, 0), (now, 0), (now, 2)];
        let book = Book {
            begun: begun.map(|(at, place)| (at, channels[place])).to_vec(),
            ..Book::default()
        };
        let board = Board::default();
        let view = view(&world, &book, &board);
        let bars = [0, 1, 2].map(|place: usize| view.row(channels[place], "").text.matches('#').count());
        assert_eq!(bars, [15, 0, 5]);
    }

    #[test]
    fn a_channel_that_is_out_is_an_alarm() {
        let mut board = Board::default();
        board.health.push(v1::ChannelHealth {
            channel_id: "wechat_direct".to_owned(),
            breaker_state: "tripped".to_owned(),
            ..v1::ChannelHealth::default()
        });
        let frame = frame(&board);
        let row = frame
            .iter()
            .find(|line| line.text.starts_with("wechat_direct"))
            .unwrap();
        assert_eq!(row.tone, Tone::Alarm);
    }
}
