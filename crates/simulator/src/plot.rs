//! A plot of shares over time: stacked areas, one per channel, as SVG.

use std::fmt::Write as _;

use crate::number::float;
use crate::scenario::event::{Event, Kind};
use crate::world::World;

/// Colours that people with colour blindness can tell apart: seven of Okabe and Ito (2008), then five of Tol's muted
/// scheme (2021) and a grey.
const COLOURS: [&str; 13] = [
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#882255", "#999933",
    "#332288", "#DDCC77", "#44AA99", "#999999",
];
const INK: &str = "#333333";
const GRID: &str = "#FFFFFF";
const WIDTH: f64 = 960.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 66.0;
const PLOT_HEIGHT: f64 = 260.0;
const AXIS_HEIGHT: f64 = 48.0;
const LEGEND_ROW: f64 = 20.0;
const LEGEND_COLUMN: f64 = 200.0;
/// Distances between the marks of the time axis, in seconds: the first that gives at most this many marks is taken.
const TICKS_S: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0,
];
const MAX_TICKS: f64 = 13.0;

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct SharePlot {
    /// Above the plot.
    pub title: String,
    /// How long a step is, in seconds.
    pub step_s: f64,
    /// Names of the channels, in the order of the rows' columns.
    pub channels: Vec<String>,
    /// One row per step with the share of each channel, 0 to 1.
    pub rows: Vec<Vec<f64>>,
    /// What happened meanwhile.
    pub spans: Vec<Span>,
}

/// A time in which something happened: shaded and labelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// When it began, in seconds.
    pub start_s: f64,
    /// When it ended, in seconds.
    pub end_s: f64,
    /// What it was.
    pub label: String,
}

impl SharePlot {
    /// A plot of `rows` as [`shares`](crate::measure::shares) has them, with the events of `world`. Events that last
    /// from the start to the end are not marked: they are how things are.
    #[must_use]
    pub fn of(world: &World, title: impl Into<String>, step_s: f64, rows: Vec<Vec<f64>>) -> Self {
        let duration = world.scenario().duration_s.get();
        let spans = world.scenario().events.iter().map(|event| Span {
            start_s: event.start_s.get(),
            end_s: event.end_s.get().min(duration),
            label: label(event),
        });
        Self {
            title: title.into(),
            step_s,
            channels: world
                .channels()
                .map(|(_, channel)| channel.id.to_string())
                .collect(),
            rows,
            spans: spans
                .filter(|span| span.start_s > 0.0 || span.end_s < duration)
                .collect(),
        }
    }

    /// The plot as a complete SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let legend_rows =
            (float(self.channels.len()) / ((WIDTH - LEFT - RIGHT) / LEGEND_COLUMN).floor()).ceil();
        let height = TOP + PLOT_HEIGHT + AXIS_HEIGHT + LEGEND_ROW * legend_rows + 8.0;
        let mut svg = format!(
            concat!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" "#,
                r#"font-family="system-ui, sans-serif" font-size="12" fill="{ink}" role="img">"#,
                "\n<title>{title}</title>\n",
                r##"<rect width="{w}" height="{h}" fill="#FFFFFF"/>"##,
                "\n",
                r#"<text x="{left}" y="22" font-size="15" font-weight="600">{title}</text>"#,
                "\n",
            ),
            w = WIDTH,
            h = height,
            ink = INK,
            left = LEFT,
            title = escaped(&self.title),
        );
        self.areas(&mut svg);
        self.marks(&mut svg);
        self.axes(&mut svg);
        self.legend(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn length_s(&self) -> f64 {
        (float(self.rows.len()) * self.step_s).max(self.step_s)
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (second / self.length_s()).clamp(0.0, 1.0)
    }

    /// One polygon per channel. A step is drawn as a level, from its beginning to its end.
    fn areas(&self, svg: &mut String) {
        let mut floor = vec![0.0; self.rows.len()];
        for (number, name) in self.channels.iter().enumerate() {
            let ceiling: Vec<f64> = floor
                .iter()
                .zip(&self.rows)
                .map(|(below, row)| below + row.get(number).copied().unwrap_or(0.0))
                .collect();
            let mut points: Vec<String> = self.edge(&ceiling);
            points.extend(self.edge(&floor).into_iter().rev());
            put(
                svg,
                format_args!(
                    "<polygon fill=\"{}\" points=\"{}\"><title>{}</title></polygon>\n",
                    colour(number),
                    points.join(" "),
                    escaped(name)
                ),
            );
            floor = ceiling;
        }
    }

    fn edge(&self, levels: &[f64]) -> Vec<String> {
        let corners = levels.iter().enumerate().flat_map(|(step, level)| {
            let (from, to) = (float(step) * self.step_s, float(step + 1) * self.step_s);
            [(from, *level), (to, *level)]
        });
        corners
            .map(|(second, level)| format!("{:.1},{:.1}", self.x(second), y(level)))
            .collect()
    }

    fn marks(&self, svg: &mut String) {
        // Labels alternate between two lines, so that neighbours do not run into each other.
        let mut drawn: Vec<(f64, f64, String)> = Vec::new();
        for span in &self.spans {
            let same = drawn.iter_mut().find(|(start, end, _)| {
                (*start - span.start_s).abs() < 1e-9 && (*end - span.end_s).abs() < 1e-9
            });
            match same {
                Some((_, _, label)) => {
                    label.push_str(", ");
                    label.push_str(span.label.rsplit(": ").next().unwrap_or(&span.label));
                }
                None => drawn.push((span.start_s, span.end_s, span.label.clone())),
            }
        }
        for (number, (start, end, label)) in drawn.iter().enumerate() {
            let (from, to) = (self.x(*start), self.x(*end));
            let line = if number % 2 == 0 { TOP - 22.0 } else { TOP - 7.0 };
            put(
                svg,
                format_args!(
                    concat!(
                        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#000000\" ",
                        "fill-opacity=\"0.10\" stroke=\"{}\" stroke-dasharray=\"4 3\"/>\n",
                        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{}</text>\n",
                    ),
                    from,
                    TOP,
                    (to - from).max(1.0),
                    PLOT_HEIGHT,
                    INK,
                    from.min(WIDTH - RIGHT - 6.2 * float(label.chars().count()))
                        .max(LEFT),
                    line,
                    escaped(label)
                ),
            );
        }
    }

    fn axes(&self, svg: &mut String) {
        for quarter in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let level = y(quarter);
            put(
                svg,
                format_args!(
                    concat!(
                        "<line x1=\"{}\" x2=\"{}\" y1=\"{level:.1}\" y2=\"{level:.1}\" stroke=\"{}\" ",
                        "stroke-opacity=\"0.5\"/>\n<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>\n",
                    ),
                    LEFT,
                    WIDTH - RIGHT,
                    GRID,
                    LEFT - 6.0,
                    level + 4.0,
                    quarter * 100.0,
                    level = level
                ),
            );
        }
        let tick = TICKS_S
            .into_iter()
            .find(|tick| self.length_s() / tick <= MAX_TICKS);
        let tick = tick.unwrap_or(self.length_s() / MAX_TICKS);
        let bottom = y(0.0);
        let mut second = 0.0;
        while second <= self.length_s() + 1e-9 {
            let x = self.x(second);
            put(
                svg,
                format_args!(
                    concat!(
                        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{:.1}\" stroke=\"{}\"/>\n",
                        "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.0}</text>\n",
                    ),
                    bottom + 5.0,
                    INK,
                    bottom + 18.0,
                    second,
                    x = x,
                    bottom = bottom
                ),
            );
            second += tick;
        }
        put(
            svg,
            format_args!(
                concat!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">time (s)</text>\n",
                    "<text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">",
                    "share of first attempts</text>\n",
                ),
                f64::midpoint(LEFT, WIDTH - RIGHT),
                bottom + 36.0,
                TOP + PLOT_HEIGHT / 2.0
            ),
        );
    }

    fn legend(&self, svg: &mut String) {
        let (mut x, mut level) = (LEFT, TOP + PLOT_HEIGHT + AXIS_HEIGHT + 4.0);
        for (number, name) in self.channels.iter().enumerate() {
            if x + LEGEND_COLUMN > WIDTH {
                (x, level) = (LEFT, level + LEGEND_ROW);
            }
            put(
                svg,
                format_args!(
                    "<rect x=\"{x}\" y=\"{level}\" width=\"12\" height=\"12\" fill=\"{}\"/>\n<text x=\"{}\" y=\"{}\">{}</text>\n",
                    colour(number),
                    x + 18.0,
                    level + 10.5,
                    escaped(name)
                ),
            );
            x += LEGEND_COLUMN;
        }
    }
}

fn label(event: &Event) -> String {
    let at = event.channel.as_ref().map_or("all", |channel| channel.as_str());
    match &event.kind {
        Kind::IssuerOutage { issuer, .. } => format!("{at}: {} of {issuer}", event.kind.as_str()),
        Kind::Outage { .. }
        | Kind::BrownOut { .. }
        | Kind::Maintenance
        | Kind::Slow { .. }
        | Kind::LostAnswers { .. }
        | Kind::DuplicateAnswers { .. }
        | Kind::Busy { .. } => format!("{at}: {}", event.kind.as_str()),
    }
}

fn y(level: f64) -> f64 {
    TOP + PLOT_HEIGHT * (1.0 - level.clamp(0.0, 1.0))
}

fn colour(number: usize) -> &'static str {
    COLOURS.get(number % COLOURS.len()).copied().unwrap_or(INK)
}

/// Writing to a `String` cannot fail, so the result says nothing.
fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = svg.write_fmt(text);
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Failover, Stage, play};
    use crate::fixture;
    use crate::measure::shares;
    use crate::routers::Oracle;
    use crate::scenario::quantity::Seconds;

    fn plot() -> SharePlot {
        let stage = Stage::of(fixture::world(1));
        let played = play(&stage, &mut Oracle, Failover::default());
        let rows = shares(&stage, &played, Seconds::new(2.0).unwrap());
        SharePlot::of(&stage.world, "Shares <of> the oracle", 2.0, rows)
    }

    fn tiny() -> SharePlot {
        SharePlot {
            title: "Two channels".to_owned(),
            step_s: 1.0,
            channels: vec!["a".to_owned(), "b".to_owned()],
            rows: vec![vec![1.0, 0.0], vec![0.25, 0.75]],
            spans: vec![Span {
                start_s: 1.0,
                end_s: 2.0,
                label: "a: outage".to_owned(),
            }],
        }
    }

    #[test]
    fn a_small_plot_looks_as_reviewed() {
        insta::assert_snapshot!(tiny().svg());
    }

    #[test]
    fn every_channel_has_an_area_and_a_legend() {
        let svg = plot().svg();
        assert_eq!(svg.matches("<polygon").count(), 3);
        for name in ["alpha", "beta", "gamma"] {
            assert!(svg.contains(&format!(">{name}</text>")), "{name}");
        }
    }

    #[test]
    fn events_of_the_same_time_share_a_mark_and_lasting_ones_have_none() {
        let svg = plot().svg();
        assert!(svg.contains("alpha: outage, lost answers"));
        assert!(!svg.contains("duplicate"));
    }

    #[test]
    fn names_cannot_break_the_document() {
        let svg = plot().svg();
        assert!(svg.contains("Shares &lt;of&gt; the oracle") && !svg.contains("<of>"));
    }

    #[test]
    fn every_coordinate_is_a_number_inside_the_picture() {
        let svg = plot().svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let points = svg
            .split("points=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        for point in points.flat_map(str::split_whitespace) {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x) && (TOP..=TOP + PLOT_HEIGHT).contains(&y));
        }
    }

    #[test]
    fn a_plot_of_nothing_is_still_a_picture() {
        let mut empty = tiny();
        empty.rows.clear();
        empty.channels.clear();
        assert!(empty.svg().ends_with("</svg>\n"));
    }
}
