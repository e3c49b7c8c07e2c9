//! Where the live view goes: drawn in place on a terminal, line by line anywhere else, nowhere with `--json`.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crossterm::cursor::MoveToPreviousLine;
use crossterm::queue;
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{Clear, ClearType, size};

use super::screen::{Line, Tone, View, WIDTH, told};

/// Where there is no terminal, a line is written this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How the demo shows itself while it runs.
pub(super) enum Display {
    /// Drawn over itself. The cursor is always left below it, so that whatever ends the demo leaves the terminal as it
    /// should be.
    InPlace {
        /// Lines that were drawn.
        drawn: u16,
    },
    /// Line by line.
    Lines {
        /// News that were written.
        told: usize,
        /// When the next line is due.
        due: Duration,
    },
    /// Not at all.
    Silent,
}

impl Display {
    /// What fits: `plain` and `json` as asked for, and in place only on a terminal with room for `lines`.
    pub(super) fn fitting(json: bool, plain: bool, lines: usize) -> Self {
        let room =
            size().is_ok_and(|(columns, rows)| usize::from(columns) > WIDTH && usize::from(rows) > lines);
        if json {
            Self::Silent
        } else if !plain && room && io::stdout().is_terminal() {
            Self::InPlace { drawn: 0 }
        } else {
            Self::Lines {
                told: 0,
                due: LINE_EVERY,
            }
        }
    }

    /// The view as it is now, as it is to be written: all at once, so that nobody sees half of it.
    pub(super) fn render(&mut self, view: &View<'_>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::InPlace { drawn } => {
                if *drawn > 0 {
                    queue!(bytes, MoveToPreviousLine(*drawn))?;
                }
                let frame = view.frame();
                for line in &frame {
                    draw(&mut bytes, line)?;
                }
                *drawn = u16::try_from(frame.len()).unwrap_or(u16::MAX);
            }
            Self::Lines { told: written, due } => {
                let fresh = view.board.told.saturating_sub(*written);
                let known = view.board.news.len().saturating_sub(fresh);
                for news in view.board.news.iter().skip(known) {
                    writeln!(bytes, "{}", told(news))?;
                }
                *written = view.board.told;
                if view.now >= *due {
                    writeln!(bytes, "{}", view.line())?;
                    // Not `due + LINE_EVERY`: after a pause there is nothing to catch up on.
                    *due = view.now + LINE_EVERY;
                }
            }
            Self::Silent => {}
        }
        Ok(bytes)
    }
}

fn draw(bytes: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    match line.tone {
        Tone::Plain => {}
        Tone::Strong => queue!(bytes, SetAttribute(Attribute::Bold))?,
        Tone::Caution => queue!(bytes, SetForegroundColor(Color::Yellow))?,
        Tone::Alarm => queue!(bytes, SetForegroundColor(Color::Red))?,
    }
    queue!(
        bytes,
        Print(&line.text),
        SetAttribute(Attribute::Reset),
        ResetColor,
        Clear(ClearType::UntilNewLine)
    )?;
    // The terminal is not in raw mode, so this goes to the start of the next line.
    queue!(bytes, Print('\n'))
}
