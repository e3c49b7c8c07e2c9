//! The reference page of the whole catalogue, of which the documentation holds a copy.

use std::io::{self, Write};

use domain::catalogue::{Catalogue, Code, HealthSignal, Reason};

use super::explanation::{meaning, messages, usual_certainty};

const COLUMNS: &str = "
## Columns

- **money**: `declined` refused, not charged; `not_processed` never acted on, not charged; `unknown` may have been charged.
- **side**: whose doing it was. **health**: whose health it speaks about.
- **advice**: what the code alone advises. `query first` stands exactly where the money is `unknown`.
- **marks**: `never again` the card or token must never be tried again; `wait` before it may be; `Visa n` the decline category;
  `new order` another try needs a new order number; `prepare` a call that only prepared a payment may switch; `busy`,
  `maintenance`, `timeout` what it says of the channel besides.
";

/// Writes the page.
pub(super) fn write_page(out: &mut impl Write, catalogue: &Catalogue) -> io::Result<()> {
    let of_others = catalogue
        .codes()
        .iter()
        .filter(|code| &*code.provider != "payroute");
    writeln!(
        out,
        "# Failure codes\n\n\
         All {} codes of providers, card networks and transport, and our own, with what Payroute makes of them. This page is\n\
         printed by `payroute explain --markdown`; `payroute explain CODE` says more of a single one. How a report is judged is on\n\
         the [page of failures](failures.md).\n\n\
         ## Reasons\n\n\
         What the customer reads, for each of the {} reasons.\n",
        of_others.count(),
        Reason::COUNT
    )?;
    write_reasons(out, catalogue)?;
    out.write_all(COLUMNS.as_bytes())?;
    for provider in listed_providers(catalogue) {
        write_provider(out, catalogue, provider)?;
    }
    Ok(())
}

/// The providers that have codes, in the order of the catalogue.
fn listed_providers(catalogue: &Catalogue) -> Vec<&str> {
    let mut providers: Vec<&str> = Vec::new();
    for code in catalogue.codes() {
        if !providers.contains(&&*code.provider) {
            providers.push(&code.provider);
        }
    }
    providers
}

fn write_reasons(out: &mut impl Write, catalogue: &Catalogue) -> io::Result<()> {
    let locales = catalogue.locales();
    writeln!(out, "| reason | what it is | codes | {} |", locales.join(" | "))?;
    writeln!(out, "|---|---|---|{}", "---|".repeat(locales.len()))?;
    for reason in Reason::ALL {
        let codes = catalogue
            .codes()
            .iter()
            .filter(|code| code.reason == reason)
            .count();
        let texts = messages(catalogue, reason, usual_certainty(reason)).into_iter();
        let texts: Vec<String> = texts.map(|text| cell(&text.whole())).collect();
        let what = cell(meaning(catalogue, reason));
        writeln!(out, "| `{reason}` | {what} | {codes} | {} |", texts.join(" | "))?;
    }
    Ok(())
}

fn write_provider(out: &mut impl Write, catalogue: &Catalogue, provider: &str) -> io::Result<()> {
    let codes = || {
        catalogue
            .codes()
            .iter()
            .filter(|code| &*code.provider == provider)
    };
    writeln!(out, "\n## {provider}\n\n{} codes.\n", codes().count())?;
    writeln!(
        out,
        "| code | meaning | reason | money | side | health | advice | marks |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for code in codes() {
        write_code(out, code)?;
    }
    Ok(())
}

fn write_code(out: &mut impl Write, code: &Code) -> io::Result<()> {
    let spellings = std::iter::once(&code.code).chain(&code.aliases);
    let spellings: Vec<String> = spellings.map(|spelling| format!("`{spelling}`")).collect();
    writeln!(
        out,
        "| {} | {} | `{}` | {} | {} | {} | {} | {} |",
        spellings.join(", "),
        cell(&code.meaning),
        code.reason,
        code.certainty,
        code.side,
        code.health_scope,
        // The table is wide: the words of an advice may stand on two lines.
        code.advice.as_str().replace('_', " "),
        marks(code).join(", "),
    )
}

fn marks(code: &Code) -> Vec<String> {
    let mut marks = Vec::new();
    if code.never_same_credential {
        marks.push("never again".to_owned());
    }
    if let Some(secs) = code.min_retry_delay_secs {
        marks.push(format!("wait {} h", secs.div_ceil(3_600)));
    }
    if let Some(category) = code.visa_category {
        marks.push(format!("Visa {category}"));
    }
    if code.new_order_no {
        marks.push("new order".to_owned());
    }
    if code.if_nothing_payable_was_delivered.is_some() {
        marks.push("prepare".to_owned());
    }
    marks.extend(code.signal.map(HealthSignal::as_str).map(str::to_owned));
    marks
}

/// A text that may stand in a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
