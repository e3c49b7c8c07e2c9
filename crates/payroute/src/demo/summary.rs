//! What the demo says at its end: in words with figures, or as one JSON object.

use std::io::{self, Write};

use serde::Serialize;

use super::measure::Figures;
use super::screen::percent;

/// A machine that was further behind than this, in seconds, has spoilt the times. Ours: half of what a failover may take.
const MOST_LAG_S: f64 = 0.25;

/// The figures of a run, and which run it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// How long shoppers kept coming, in seconds.
    pub(super) seconds: u32,
    /// The world they came to.
    pub(super) seed: u64,
    /// Whether somebody ended the demo early.
    pub(super) interrupted: bool,
    /// The channel of the scripted outage, if there was one.
    pub(super) outage: Option<String>,
    /// What was measured.
    #[serde(flatten)]
    pub(super) figures: Figures,
}

impl Summary {
    /// One JSON object on one line.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// The same for people.
    pub(super) fn words(&self, out: &mut impl Write) -> io::Result<()> {
        let figures = &self.figures;
        let (with, without) = (
            percent(figures.success_rate_with),
            percent(figures.success_rate_without),
        );
        writeln!(out)?;
        if self.interrupted {
            writeln!(out, "Ended early; this is how it went until then.")?;
        }
        writeln!(out, "{} payments, of which were paid", figures.payments)?;
        writeln!(out, "  with Payroute        {with:>7}")?;
        writeln!(
            out,
            "  on fixed channels    {without:>7}   one channel per method, one attempt"
        )?;
        writeln!(
            out,
            "  payments saved       {:>7}   {} more were paid, {} fewer",
            figures.payments_saved, figures.saved, figures.lost
        )?;
        if let Some(channel) = &self.outage {
            writeln!(out, "the outage of {channel}")?;
            writeln!(
                out,
                "  left after           {:>7}",
                seconds(figures.leave_seconds)
            )?;
            writeln!(
                out,
                "  back after its end   {:>7}",
                seconds(figures.return_seconds)
            )?;
        }
        writeln!(
            out,
            "from a failure to the next submit, {} times",
            figures.failovers
        )?;
        let [p50, p99] = [figures.failover_ms_p50, figures.failover_ms_p99].map(millis);
        writeln!(out, "  p50 {p50}, p99 {p99}")?;
        self.money(out)
    }

    /// What became of the attempts that nobody knew the outcome of.
    fn money(&self, out: &mut impl Write) -> io::Result<()> {
        let figures = &self.figures;
        writeln!(
            out,
            "{} attempts ended without a known outcome, and were queried before any switch",
            figures.unknown_outcomes
        )?;
        writeln!(
            out,
            "  {} turned out paid, {} were taken back, {} are still unknown",
            figures.unknown_paid, figures.unknown_reversed, figures.open
        )?;
        writeln!(
            out,
            "double charges, counted in the channels' own books: {}",
            figures.double_charges
        )?;
        if figures.charged_without_order > 0 {
            let charged = figures.charged_without_order;
            writeln!(out, "charged without an order: {charged}")?;
        }
        if figures.unfinished + figures.unrouted > 0 {
            writeln!(
                out,
                "{} payments were not finished, {} were not answered",
                figures.unfinished, figures.unrouted
            )?;
        }
        if figures.lag_seconds > MOST_LAG_S {
            writeln!(
                out,
                "this machine was up to {:.1} s behind: the times are its own, not Payroute's",
                figures.lag_seconds
            )?;
        }
        Ok(())
    }
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "not seen".to_owned(), |seconds| format!("{seconds:.1} s"))
}

fn millis(millis: Option<f64>) -> String {
    millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.1} ms"))
}
