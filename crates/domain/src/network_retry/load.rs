//! Reading a document of network rules.

use super::history::MAX_TRIED;
use super::{Cap, Network, Never, Rules, Sign, Wait};
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::parse;

/// Longest window or wait, in seconds: a year.
const MAX_SECS: i64 = 31_536_000;

impl Rules {
    /// Reads the rules `text`, called `file` in diagnostics. They stand in the place of the built-in ones.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn load(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
        let mut found = Findings::new(file);
        let networks = read(&Field::root(&node), &mut found).unwrap_or_default();
        found.finish(Self { networks })
    }
}

fn read(root: &Field<'_>, found: &mut Findings) -> Option<Vec<Network>> {
    let table = root.table(&["version", "networks"], found)?;
    if let Some(version) = table.required("version", found) {
        version.integer(1..=1, found);
    }
    let networks = table.required("networks", found)?.open_table(found)?;
    let read = networks
        .fields()
        .filter_map(|(name, field)| read_network(name, &field, found));
    Some(read.collect())
}

fn read_network(name: &str, field: &Field<'_>, found: &mut Findings) -> Option<Network> {
    let table = field.table(&["never", "waits", "caps"], found)?;
    Some(Network {
        name: name.into(),
        never: each(&table, "never", found, read_never),
        waits: each(&table, "waits", found, read_wait),
        caps: each(&table, "caps", found, read_cap),
    })
}

/// What `read` makes of each item of the list under `key`.
fn each<T>(
    table: &Table<'_>,
    key: &str,
    found: &mut Findings,
    read: impl Fn(&Field<'_>, &mut Findings) -> Option<T>,
) -> Vec<T> {
    let items = table.get(key).map_or_else(Vec::new, |field| field.items(found));
    items.iter().filter_map(|item| read(item, found)).collect()
}

fn read_never(field: &Field<'_>, found: &mut Findings) -> Option<Never> {
    let table = field.table(&["rule", "visa_category", "advice"], found)?;
    let rule = text(&table, "rule", found);
    let sign = match (table.get("visa_category"), table.get("advice")) {
        (Some(category), None) => category.number(1..=4, found).map(Sign::VisaCategory),
        (None, Some(advice)) => advice.text(found).map(|advice| Sign::Advice(advice.into())),
        _ => {
            field.refuse(found, "expected one of `visa_category` and `advice`");
            None
        }
    };
    Some(Never {
        rule: rule?,
        sign: sign?,
    })
}

fn read_wait(field: &Field<'_>, found: &mut Findings) -> Option<Wait> {
    let table = field.table(&["rule", "advice", "secs"], found)?;
    let (rule, advice) = (text(&table, "rule", found), text(&table, "advice", found));
    let secs = table.required("secs", found);
    Some(Wait {
        rule: rule?,
        advice: advice?,
        secs: secs?.number(1..=MAX_SECS, found)?,
    })
}

fn read_cap(field: &Field<'_>, found: &mut Findings) -> Option<Cap> {
    let table = field.table(&["rule", "attempts", "window_secs"], found)?;
    let rule = text(&table, "rule", found);
    let most = i64::try_from(MAX_TRIED).unwrap_or(i64::MAX);
    let attempts = table
        .required("attempts", found)
        .and_then(|attempts| attempts.number(1..=most, found));
    let window_secs = table
        .required("window_secs", found)
        .and_then(|window| window.number(1..=MAX_SECS, found));
    Some(Cap {
        rule: rule?,
        attempts: attempts?,
        window_secs: window_secs?,
    })
}

fn text(table: &Table<'_>, key: &str, found: &mut Findings) -> Option<Box<str>> {
    let field = table.required(key, found)?;
    field.text(found).map(Box::from)
}
