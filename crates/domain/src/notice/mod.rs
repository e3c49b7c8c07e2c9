//! Customer notices: who is told what, by which way and when, once the page is closed.
//!
//! Rules are an operator's document. The first rule that matches an occasion decides, and a customer is told of one
//! occasion once, by the first way of the rule by which the customer can be reached and has not opted out.

mod contact;
mod load;
mod occasion;
mod quiet;
mod template;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::catalogue::{Catalogue, Reason};

pub use contact::{Contact, InvalidContact};
pub use load::Fits;
pub use occasion::{Consent, Contacts, Happened, Occasion, Way};
use quiet::QuietHours;
use template::Body;
pub use template::Placeholder;

/// An operator's rules for customer notices.
#[derive(Clone, Debug)]
pub struct Rules {
    version: Box<str>,
    timezone: TimeZone,
    quiet: Option<QuietHours>,
    /// The receiver of the configuration that sends by each way.
    receivers: Vec<(Way, Box<str>)>,
    /// The first that matches decides.
    list: Vec<Rule>,
    templates: Vec<Template>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Box<str>,
    events: Vec<Happened>,
    /// `None` for those that the catalogue marks where an outcome is not final, and for all where it is.
    reasons: Option<Vec<Reason>>,
    /// Empty for all.
    methods: Vec<String>,
    /// In the order of preference; empty to say nothing.
    ways: Vec<Way>,
    /// Position in the list of templates; `None` where nothing is said.
    template: Option<usize>,
    urgent: bool,
    valid_secs: u32,
}

#[derive(Clone, Debug)]
struct Template {
    name: Box<str>,
    bodies: Vec<Body>,
}

/// A notice to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same for every notice of the same payment and event: whoever stores it keeps one of them.
    pub key: String,
    /// What happened.
    pub event: Happened,
    /// By which way to send it.
    pub way: Way,
    /// Name of the receiver of the configuration that it goes to.
    pub receiver: Box<str>,
    /// When to send it: now, or at the end of the quiet hours.
    pub send_at: Timestamp,
    /// After this it would only confuse: drop it.
    pub not_after: Timestamp,
    /// The vendor's name of its template; `None` for a webhook.
    pub vendor_template: Option<Box<str>>,
    /// The language it is in, BCP 47.
    pub locale: Box<str>,
    /// The fields with their texts, in the order of the document.
    pub fields: Vec<(Box<str>, String)>,
    /// The rule that decided.
    pub rule: Box<str>,
}

/// Why nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No rule is about it.
    NoRule,
    /// A rule says that nothing is to be said.
    Suppressed {
        /// The rule.
        rule: Box<str>,
    },
    /// The customer does not want to hear by any way of the rule by which there is contact.
    OptedOut {
        /// The rule.
        rule: Box<str>,
    },
    /// There is no contact by any way of the rule.
    Unreachable {
        /// The rule.
        rule: Box<str>,
    },
}

impl Rules {
    /// The version that the document gives itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What to tell the customer of `occasion`.
    ///
    /// # Errors
    /// Why nothing is to be told.
    pub fn notice(&self, occasion: &Occasion<'_>, catalogue: &Catalogue) -> Result<Notice, Silence> {
        let rule = self
            .list
            .iter()
            .find(|rule| rule.matches(occasion, catalogue))
            .ok_or(Silence::NoRule)?;
        let name = || rule.name.clone();
        let template = rule.template.and_then(|at| self.templates.get(at));
        let template = template.ok_or_else(|| Silence::Suppressed { rule: name() })?;
        let way = rule.way(occasion.contacts)?;
        let body = template.body(way, occasion.locale);
        let receiver = self.receivers.iter().find(|(of, _)| *of == way);
        let (body, (_, receiver)) = body
            .zip(receiver)
            .ok_or_else(|| Silence::Unreachable { rule: name() })?;
        let send_at = match self.quiet {
            Some(quiet) if way.reaches_a_person() && !rule.urgent => quiet.end(occasion.at, &self.timezone),
            _ => occasion.at,
        };
        let valid = SignedDuration::from_secs(i64::from(rule.valid_secs));
        Ok(Notice {
            key: occasion.key(),
            event: occasion.event,
            way,
            receiver: receiver.clone(),
            send_at,
            // Waiting for the morning does not make it older.
            not_after: send_at.checked_add(valid).unwrap_or(Timestamp::MAX),
            vendor_template: body.vendor_template.clone(),
            locale: body.locale.clone(),
            fields: body.render(occasion, catalogue, &self.timezone),
            rule: name(),
        })
    }
}

impl Rule {
    fn matches(&self, occasion: &Occasion<'_>, catalogue: &Catalogue) -> bool {
        let about_reason = match (&self.reasons, occasion.reason) {
            (Some(reasons), reason) => reason.is_some_and(|reason| reasons.contains(&reason)),
            (None, Some(reason)) if !occasion.event.ends_doubt() => {
                catalogue.reason(reason).notify_customer_afterwards
            }
            (None, _) => occasion.event.ends_doubt(),
        };
        let by_method =
            self.methods.is_empty() || self.methods.iter().any(|method| method == occasion.method);
        self.events.contains(&occasion.event) && about_reason && by_method
    }

    /// The first way by which the customer can be reached and wants to be.
    fn way(&self, contacts: Contacts) -> Result<Way, Silence> {
        let with = |consent: Consent| self.ways.iter().copied().find(|way| contacts.by(*way) == consent);
        with(Consent::Given).ok_or_else(|| {
            let rule = self.name.clone();
            if with(Consent::OptedOut).is_some() {
                Silence::OptedOut { rule }
            } else {
                Silence::Unreachable { rule }
            }
        })
    }
}

impl Template {
    /// The body for `way` in the language closest to `locale`, else in the one that stands first.
    fn body(&self, way: Way, locale: &str) -> Option<&Body> {
        let bodies = || self.bodies.iter().filter(|body| body.way == way);
        bodies()
            .filter_map(|body| Some((crate::catalogue::closeness(&body.locale, locale)?, body)))
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, body)| body)
            .or_else(|| bodies().next())
    }
}

#[cfg(test)]
mod tests;
