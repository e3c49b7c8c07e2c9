//! Reading the customer texts and the marks of reasons from a catalogue document.

use super::bounded;
use crate::catalogue::locale::is_tag;
use crate::catalogue::message::Text;
use crate::catalogue::{Catalogue, Reason};
use crate::document::field::{Field, Findings};

impl Catalogue {
    /// Reads `messages`: by language, then by reason.
    pub(super) fn lay_messages(&mut self, field: &Field<'_>, found: &mut Findings) {
        let Some(languages) = field.open_table(found) else {
            return;
        };
        for (locale, texts) in languages.fields() {
            if !is_tag(locale) {
                languages.refuse_key(locale, found, not_a_tag(locale));
                continue;
            }
            let Some(texts) = texts.table(&Reason::ALL.map(Reason::as_str), found) else {
                continue;
            };
            for (name, text) in texts.fields() {
                if let (Some(reason), Some(text)) = (Reason::from_name(name), read_text(&text, found)) {
                    self.reasons.get_mut(reason).set(locale, text);
                }
            }
        }
    }

    /// Reads `reasons`: when to show what, by reason.
    pub(super) fn lay_marks(&mut self, field: &Field<'_>, found: &mut Findings) {
        const MARKS: [&str; 3] = [
            "show_contact",
            "offer_retry_same_instrument",
            "notify_customer_afterwards",
        ];
        let Some(reasons) = field.table(&Reason::ALL.map(Reason::as_str), found) else {
            return;
        };
        for (name, marks) in reasons.fields() {
            let (Some(reason), Some(table)) = (Reason::from_name(name), marks.table(&MARKS, found)) else {
                continue;
            };
            let marks = self.reasons.get_mut(reason);
            for (key, mark) in [
                ("show_contact", &mut marks.show_contact),
                (
                    "offer_retry_same_instrument",
                    &mut marks.offer_retry_same_instrument,
                ),
                (
                    "notify_customer_afterwards",
                    &mut marks.notify_customer_afterwards,
                ),
            ] {
                if let Some(flag) = table.get(key).and_then(|field| field.flag(found)) {
                    *mark = flag;
                }
            }
        }
    }

    /// Reads `default_locale`. Every reason must have a text in it, or some customers would read nothing.
    pub(super) fn set_default_locale(&mut self, field: &Field<'_>, found: &mut Findings) {
        let Some(locale) = field.text(found) else { return };
        if !is_tag(locale) {
            field.refuse(found, not_a_tag(locale));
            return;
        }
        let is_missing = |reason: &Reason| self.reason(*reason).text(locale).is_none();
        let missing: Vec<&str> = Reason::ALL
            .into_iter()
            .filter(is_missing)
            .map(Reason::as_str)
            .collect();
        if let [first, rest @ ..] = missing.as_slice() {
            let message = format!(
                "reason `{first}` and {} others have no text in `{locale}`",
                rest.len()
            );
            field.refuse(found, message);
            return;
        }
        self.default_locale = locale.into();
    }
}

fn read_text(field: &Field<'_>, found: &mut Findings) -> Option<Text> {
    let table = field.table(&["what", "todo"], found)?;
    let what = table
        .required("what", found)
        .and_then(|what| bounded(&what, found));
    let todo = table
        .required("todo", found)
        .and_then(|todo| bounded(&todo, found));
    Some(Text {
        what: what?.into(),
        todo: todo?.into(),
    })
}

fn not_a_tag(locale: &str) -> String {
    format!("`{locale}` is not a language tag of BCP 47, such as en, zh-CN or pt-BR")
}
