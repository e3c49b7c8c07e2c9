//! What the shoppers count, and how it is said.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use client::{Acknowledged, Call, Observer, Subject};
use parking_lot::Mutex;
use serde::Serialize;
use simulator::provider::Audit;
use simulator::world::ChannelIndex;

use super::journal::Journal;
use crate::checkout::{End, Notes};

/// The figures of a run. Their names are those of the JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    /// Payments that came to their end.
    pub(super) payments: usize,
    /// Those that were paid.
    pub(super) paid: usize,
    /// Those that nobody knows of yet whether they were paid.
    pub(super) open: usize,
    /// Those that a router refused, or that none answered for in time.
    pub(super) unrouted: usize,
    /// Payments that were under way when the run ended.
    pub(super) unfinished: usize,
    /// Submits to channels, over all payments.
    pub(super) attempts: usize,
    /// Outcomes that Payroute acknowledged: reports and resolutions.
    pub(super) acknowledged: usize,
    /// Those that it had heard of before: the acknowledgement of an earlier call was lost.
    pub(super) duplicates: usize,
    /// Outcomes that Payroute was told and never acknowledged.
    pub(super) unacknowledged: usize,
    /// Payments for which the channels hold money more than once, by their own books.
    pub(super) double_charges: usize,
    /// Payments for which the channels hold money and the shop does not know it.
    pub(super) charged_without_order: usize,
}

impl Figures {
    /// One JSON object on one line.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// The same for people.
    pub(super) fn words(&self, out: &mut impl Write) -> io::Result<()> {
        let rows = [
            ("payments", self.payments),
            ("  paid", self.paid),
            ("  outcome unknown", self.open),
            ("  unrouted", self.unrouted),
            ("payments not finished", self.unfinished),
            ("attempts", self.attempts),
            ("outcomes acknowledged", self.acknowledged),
            ("  as duplicates", self.duplicates),
            ("outcomes never acknowledged", self.unacknowledged),
            ("double charges", self.double_charges),
            ("charged without an order", self.charged_without_order),
        ];
        for (name, count) in rows {
            writeln!(out, "{name:<28} {count:>9}")?;
        }
        Ok(())
    }

    /// A line while it goes on.
    pub(super) fn line(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{} payments, {} paid, {} unrouted; {} outcomes acknowledged, {} not yet",
            self.payments, self.paid, self.unrouted, self.acknowledged, self.unacknowledged
        )?;
        out.flush()
    }
}

/// Counts, and keeps the journal.
#[derive(Debug, Default)]
pub(super) struct Tally {
    figures: Mutex<Figures>,
    journal: Option<Arc<Journal>>,
}

impl Tally {
    /// Nothing yet; what is acknowledged goes into `journal`.
    pub(super) fn new(journal: Option<Arc<Journal>>) -> Self {
        Self {
            figures: Mutex::default(),
            journal,
        }
    }

    /// The figures as they are.
    pub(super) fn figures(&self) -> Figures {
        *self.figures.lock()
    }

    /// Counts somebody in.
    pub(super) fn arrive(&self) {
        self.figures.lock().unfinished += 1;
    }

    /// Counts a payment that came to its end.
    pub(super) fn end(&self, end: End) {
        let mut figures = self.figures.lock();
        figures.unfinished = figures.unfinished.saturating_sub(1);
        figures.payments += 1;
        match end {
            End::Paid => figures.paid += 1,
            End::NotPaid => {}
            End::Open => figures.open += 1,
            End::Unrouted => figures.unrouted += 1,
        }
    }

    /// Counts what the channels' books say.
    pub(super) fn audit(&self, audit: Audit) {
        let mut figures = self.figures.lock();
        figures.double_charges += audit.double_charges;
        figures.charged_without_order += audit.charged_without_order;
    }
}

impl Notes for Tally {
    fn begin(&self, _: ChannelIndex, _: Duration, _: Option<ChannelIndex>) {
        self.figures.lock().attempts += 1;
    }
}

impl Observer for Tally {
    fn told(&self, _: &Subject, _: Call) {
        self.figures.lock().unacknowledged += 1;
    }

    fn acknowledged(&self, said: &Acknowledged<'_>) {
        if let Some(journal) = &self.journal {
            journal.write(said);
        }
        let mut figures = self.figures.lock();
        figures.unacknowledged = figures.unacknowledged.saturating_sub(1);
        figures.acknowledged += 1;
        figures.duplicates += usize::from(said.duplicate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_came_is_either_done_or_unfinished() {
        let tally = Tally::default();
        for end in [
            Some(End::Paid),
            Some(End::Open),
            Some(End::Unrouted),
            Some(End::NotPaid),
            None,
        ] {
            tally.arrive();
            if let Some(end) = end {
                tally.end(end);
            }
        }
        let figures = tally.figures();
        assert_eq!((figures.payments, figures.unfinished), (4, 1));
        assert_eq!((figures.paid, figures.open, figures.unrouted), (1, 1, 1));
    }

    #[test]
    fn what_was_told_is_not_acknowledged_until_it_is() {
        let tally = Tally::default();
        let subject = Subject::default();
        tally.told(&subject, Call::Report);
        tally.told(&subject, Call::Report);
        tally.acknowledged(&Acknowledged {
            subject: &subject,
            state: "succeeded",
            duplicate: true,
            call: Call::Report,
        });
        let figures = tally.figures();
        assert_eq!(
            (figures.acknowledged, figures.duplicates, figures.unacknowledged),
            (1, 1, 1)
        );
    }
}
