//! Templates: the body of a page in the operator's own words and markup.
//!
//! A template is text with places: `{{ what }}`. The text goes out as it is written, for the operator may use the
//! receiver's markup; what stands in a place is escaped. There is nothing else, no condition and no loop, so that a
//! template that was accepted can fail in one way only: it asks for a label that the page does not have.

use crate::format::markup::Markup;
use crate::format::words::{self, Words};
use crate::message::Page;

use jiff::tz::TimeZone;

/// Longest template in bytes.
const LONGEST: usize = 8 * 1024;

/// A template that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// What a template can show.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Status,
    Severity,
    Alert,
    What,
    Since,
    Until,
    Hits,
    Reasons,
    Done,
    Links,
    Label(String),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A `{{` without its `}}`.
    #[error("a `{{{{` is not closed")]
    Unclosed,
    /// A place that there is not.
    #[error(
        "`{0}` is not a place; there are status, severity, alert, what, since, until, hits, reasons, done, links \
         and label.NAME"
    )]
    UnknownPlace(String),
    /// Nothing to show, or too much.
    #[error("a template has 1 to 8192 bytes")]
    Length,
}

/// Why a page cannot be shown by a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It asks for a label that the page does not have.
    #[error("the page has no label `{0}`")]
    NoLabel(String),
    /// Everything it asks for is empty.
    #[error("nothing is left of it")]
    Empty,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.trim().is_empty() || text.len() > LONGEST {
            return Err(InvalidTemplate::Length);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once("{{") {
            let (name, after) = inside.split_once("}}").ok_or(InvalidTemplate::Unclosed)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Place(Place::named(name.trim())?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The lines of `page` by this template. Each is whole by itself, so that lines can be left out at the end.
    ///
    /// # Errors
    /// When a label is missing, or nothing is left.
    pub fn render(&self, page: &Page, markup: Markup, zone: &TimeZone) -> Result<Vec<String>, TemplateError> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(ours) => text.push_str(ours),
                Piece::Place(place) => text.push_str(&place.of(page, markup, zone)?),
            }
        }
        let lines: Vec<_> = text.trim().lines().map(str::to_owned).collect();
        if lines.is_empty() {
            Err(TemplateError::Empty)
        } else {
            Ok(lines)
        }
    }
}

impl Place {
    fn named(name: &str) -> Result<Self, InvalidTemplate> {
        Ok(match name {
            "status" => Self::Status,
            "severity" => Self::Severity,
            "alert" => Self::Alert,
            "what" => Self::What,
            "since" => Self::Since,
            "until" => Self::Until,
            "hits" => Self::Hits,
            "reasons" => Self::Reasons,
            "done" => Self::Done,
            "links" => Self::Links,
            _ => match name.strip_prefix("label.") {
                Some(label) if !label.is_empty() => Self::Label(label.to_owned()),
                _ => return Err(InvalidTemplate::UnknownPlace(name.to_owned())),
            },
        })
    }

    fn of(&self, page: &Page, markup: Markup, zone: &TimeZone) -> Result<String, TemplateError> {
        let words = Words::of(page.locale);
        let list = |lines: &[String]| markup.value(&lines.join("; "));
        Ok(match self {
            Self::Status => words.status(page.status).to_owned(),
            Self::Severity => words.grade(page.severity).to_owned(),
            Self::Alert => markup.value(&page.alert),
            Self::What => markup.value(&page.what),
            Self::Since => words::time(page.since, zone),
            Self::Until => page
                .until
                .map(|until| words::time(until, zone))
                .unwrap_or_default(),
            Self::Hits => list(&page.hits),
            Self::Reasons => list(&page.reasons),
            Self::Done => list(&page.done),
            Self::Links => {
                let links = page.links.iter().map(|link| markup.link(&link.text, &link.url));
                links.collect::<Vec<_>>().join("  ")
            }
            Self::Label(name) => {
                let label = page.labels.get(name);
                markup.value(label.ok_or_else(|| TemplateError::NoLabel(name.clone()))?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    fn render(text: &str) -> Result<Vec<String>, TemplateError> {
        Template::parse(text)
            .unwrap()
            .render(&sample::page(), Markup::Slack, &TimeZone::UTC)
    }

    #[test]
    fn what_stands_in_a_place_is_escaped_and_what_is_written_is_not() {
        let mut page = sample::page();
        page.what = "<!channel> {{ hits }}".to_owned();
        let template = Template::parse("<!here> {{ status }}: *{{what}}*\n{{ label.channel }}").unwrap();
        let lines = template.render(&page, Markup::Slack, &TimeZone::UTC).unwrap();
        assert_eq!(lines, ["<!here> FIRING: *&lt;!channel&gt; {{ hits }}*", "ch_42"]);
    }

    #[test]
    fn f41_a_missing_label_is_an_error_that_names_it() {
        assert_eq!(
            render("{{ label.shop }}"),
            Err(TemplateError::NoLabel("shop".to_owned()))
        );
        assert_eq!(render("{{ until }}"), Err(TemplateError::Empty));
    }

    #[test]
    fn a_text_that_is_no_template_is_refused() {
        assert_eq!(Template::parse("{{ what "), Err(InvalidTemplate::Unclosed));
        assert_eq!(Template::parse(" \n"), Err(InvalidTemplate::Length));
        for name in ["whom", "label.", ""] {
            let refused = Template::parse(&format!("{{{{ {name} }}}}"));
            assert_eq!(refused, Err(InvalidTemplate::UnknownPlace(name.to_owned())));
        }
    }
}
