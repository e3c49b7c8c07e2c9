//! Reading one code of a catalogue document: a change of a listed one, or a new one.

use super::bounded;
use crate::catalogue::{
    Advice, Catalogue, Certainty, Code, Confidence, HealthScope, HealthSignal, Lifted, Reason, Side,
};
use crate::document::field::{Field, Findings, Table};

const KEYS: [&str; 18] = [
    "provider",
    "code",
    "aliases",
    "meaning",
    "reason",
    "certainty",
    "side",
    "advice",
    "health_scope",
    "signal",
    "customer_can_fix",
    "never_same_credential",
    "min_retry_delay_secs",
    "new_order_no",
    "if_nothing_payable_was_delivered",
    "visa_category",
    "contact",
    "note",
];

/// What a code that is not listed yet has to say.
const REQUIRED: [&str; 5] = ["meaning", "reason", "certainty", "side", "health_scope"];

/// Longest provider or code, in bytes.
const MAX_NAME: usize = 128;

/// A year, in seconds: no network wants a longer wait.
const MAX_DELAY_SECS: i64 = 31_536_000;

/// The code that `field` makes of what `catalogue` lists; `None`, and reported, when it makes none.
pub(super) fn read(
    field: &Field<'_>,
    catalogue: &Catalogue,
    file: &str,
    found: &mut Findings,
) -> Option<Code> {
    let table = field.table(&KEYS, found)?;
    let provider = name(&table, "provider", found);
    let spelling = name(&table, "code", found);
    let (provider, spelling) = (provider?, spelling?);
    let listed = catalogue.find(provider, spelling);
    if listed.is_none() {
        for key in REQUIRED {
            table.required(key, found);
        }
    }
    let mut code = listed.map_or_else(|| blank(spelling), |code| Code::clone(code));
    // A code that is shared, as the card schemes share those of ISO 8583, becomes the provider's own.
    code.provider = provider.into();
    code.source = file.into();
    code.confidence = Confidence::High;
    read_judgement(&table, &mut code, found);
    read_marks(&table, &mut code, found);
    read_words(&table, &mut code, found);
    if let Some(aliases) = table.get("aliases") {
        let taken = |alias: &str| {
            let other = catalogue.find(provider, alias)?;
            (other.code != code.code).then(|| format!("`{alias}` is listed as `{}` already", other.code))
        };
        let added = aliases.texts_that(taken, found);
        code.aliases.extend(added.into_iter().map(Into::into));
        code.aliases.sort_unstable();
        code.aliases.dedup();
        code.aliases.retain(|alias| *alias != code.code);
    }
    refuse_unsafe(field, &code, found);
    Some(code)
}

fn name<'n>(table: &Table<'n>, key: &str, found: &mut Findings) -> Option<&'n str> {
    let field = table.required(key, found)?;
    let text = field.text(found)?;
    if text.len() > MAX_NAME || text.trim() != text {
        let message = format!("expected at most {MAX_NAME} bytes, without spaces around them");
        field.refuse(found, message);
        return None;
    }
    Some(text)
}

/// A code of which nothing is known: the safest judgement there is.
fn blank(spelling: &str) -> Code {
    Code {
        provider: "".into(),
        code: spelling.into(),
        meaning: "".into(),
        reason: Reason::Unclassified,
        customer_can_fix: false,
        side: Side::Technical,
        certainty: Certainty::Unknown,
        advice: Advice::QueryFirst,
        confidence: Confidence::High,
        source: "".into(),
        health_scope: HealthScope::None,
        note: None,
        visa_category: None,
        never_same_credential: false,
        min_retry_delay_secs: None,
        new_order_no: false,
        contact: None,
        aliases: Vec::new(),
        if_nothing_payable_was_delivered: None,
        signal: None,
    }
}

fn read_judgement(table: &Table<'_>, code: &mut Code, found: &mut Findings) {
    let reasons = Reason::ALL.map(|reason| (reason.as_str(), reason));
    set(&mut code.reason, choose(table, "reason", &reasons, found));
    let sides = Side::ALL.map(|side| (side.as_str(), side));
    set(&mut code.side, choose(table, "side", &sides, found));
    let scopes = HealthScope::ALL.map(|scope| (scope.as_str(), scope));
    set(
        &mut code.health_scope,
        choose(table, "health_scope", &scopes, found),
    );
    let certainties = Certainty::ALL.map(|certainty| (certainty.as_str(), certainty));
    let certainty = choose(table, "certainty", &certainties, found);
    set(&mut code.certainty, certainty);
    match certainty {
        Some(Certainty::Unknown) => code.advice = Advice::QueryFirst,
        // Only an unknown outcome can be lifted.
        Some(Certainty::Declined | Certainty::NotProcessed) => code.if_nothing_payable_was_delivered = None,
        None => {}
    }
    let advice = Advice::ALL.map(|advice| (advice.as_str(), advice));
    set(&mut code.advice, choose(table, "advice", &advice, found));
    let signals = HealthSignal::ALL.map(|signal| (signal.as_str(), Some(signal)));
    let [maintenance, busy, timeout] = signals;
    let signal = choose(
        table,
        "signal",
        &[maintenance, busy, timeout, ("none", None)],
        found,
    );
    set(&mut code.signal, signal);
}

fn read_marks(table: &Table<'_>, code: &mut Code, found: &mut Findings) {
    let mut flag = |key: &str| table.get(key).and_then(|field| field.flag(found));
    set(&mut code.customer_can_fix, flag("customer_can_fix"));
    set(&mut code.never_same_credential, flag("never_same_credential"));
    set(&mut code.new_order_no, flag("new_order_no"));
    let lifted = flag("if_nothing_payable_was_delivered").map(|is_lifted| {
        is_lifted.then_some(Lifted {
            certainty: Certainty::NotProcessed,
            advice: Advice::SwitchChannel,
        })
    });
    set(&mut code.if_nothing_payable_was_delivered, lifted);
    let delay = table.get("min_retry_delay_secs");
    let delay = delay.and_then(|field| field.number(0..=MAX_DELAY_SECS, found));
    // No wait at all is how a document takes a listed one away.
    set(
        &mut code.min_retry_delay_secs,
        delay.map(|secs: u32| (secs > 0).then_some(secs)),
    );
    let category = table.get("visa_category");
    let category: Option<u8> = category.and_then(|field| field.number(1..=4, found));
    set(&mut code.visa_category, category.map(Some));
}

fn read_words(table: &Table<'_>, code: &mut Code, found: &mut Findings) {
    let mut words = |key: &str| {
        let field = table.get(key)?;
        bounded(&field, found).map(Box::<str>::from)
    };
    set(&mut code.meaning, words("meaning"));
    set(&mut code.contact, words("contact").map(Some));
    set(&mut code.note, words("note").map(Some));
}

fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *place = value;
    }
}

fn choose<T: Copy>(
    table: &Table<'_>,
    key: &str,
    choices: &[(&'static str, T)],
    found: &mut Findings,
) -> Option<T> {
    table.get(key).and_then(|field| field.choice(choices, found))
}

/// Reports what must hold of every code, whoever edits it.
fn refuse_unsafe(field: &Field<'_>, code: &Code, found: &mut Findings) {
    let is_open = code.certainty == Certainty::Unknown;
    let (advice, reason) = (code.advice, code.reason);
    if is_open && advice != Advice::QueryFirst {
        let message = format!("advice `{advice}` would charge twice: an `unknown` outcome is queried first");
        field.refuse(found, message);
    }
    if !is_open && advice == Advice::QueryFirst {
        let message = format!(
            "advice `query_first` is for an `unknown` outcome, this one is `{}`",
            code.certainty
        );
        field.refuse(found, message);
    }
    if is_open && !reason.speaks_of_an_open_result() && reason != Reason::Unclassified {
        let message = format!(
            "reason `{reason}` does not go with an `unknown` outcome: its text speaks of a settled one"
        );
        field.refuse(found, message);
    }
    if code.side == Side::Risk && matches!(advice, Advice::RetrySame | Advice::SwitchChannel) {
        let message = format!(
            "advice `{advice}` does not go with side `risk`: what risk refused is not tried elsewhere"
        );
        field.refuse(found, message);
    }
    let forbids = code.never_same_credential || code.visa_category == Some(1);
    if forbids && matches!(advice, Advice::RetrySame | Advice::SwitchChannel) {
        let message =
            format!("advice `{advice}` does not go with a credential that must never be used again");
        field.refuse(found, message);
    }
    if code.visa_category == Some(1) && !code.never_same_credential {
        field.refuse(found, "visa_category 1 needs `never_same_credential: true`");
    }
    if !is_open && code.if_nothing_payable_was_delivered.is_some() {
        field.refuse(
            found,
            "if_nothing_payable_was_delivered is for an `unknown` outcome only",
        );
    }
}
