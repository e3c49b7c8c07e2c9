//! Reading a channel document: channels, and the suspensions and limits that hold from the start.

use super::controls::{read_limits, read_suspensions};
use super::{ChannelIndex, Channels, MAX_CHANNELS};
use crate::channel::{Account, AccountState, Capabilities, Channel, Cost};
use crate::country::not_a_country;
use crate::diagnostic::Diagnostic;
use crate::document::field::{Field, Findings, Table};
use crate::document::parse;
use crate::id::{AccountId, ChannelId};
use crate::limit;
use crate::money::Currency;
use crate::suspension::Suspension;

/// How long a caller may be told to wait for a channel, in milliseconds.
const TIMEOUT_MS: std::ops::RangeInclusive<i64> = 100..=120_000;

/// Highest weight of an account.
const MAX_WEIGHT: i64 = 1_000_000;

/// Highest share of an amount that a channel may cost: all of it.
const MAX_BASIS_POINTS: i64 = 10_000;

/// What a channel document says.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The channels.
    pub channels: Channels,
    /// Suspensions that hold whatever else is decided.
    pub suspensions: Vec<Suspension>,
    /// Limits.
    pub limits: Vec<limit::Rule>,
}

/// Reads the channel document `text`, called `file` in diagnostics. `providers` are the names that the failure
/// catalogue knows.
///
/// # Errors
/// Everything that is wrong with it, in the order of the document.
pub fn load(text: &str, file: &str, providers: &[&str]) -> Result<Configuration, Vec<Diagnostic>> {
    let node = parse(text, file).map_err(|diagnostic| vec![diagnostic])?;
    let mut found = Findings::new(file);
    let configuration = read(&Field::root(&node), providers, &mut found);
    match configuration {
        Some(configuration) => found.finish(configuration),
        // Whatever made reading stop has been reported.
        None => Err(found.finish(()).err().unwrap_or_default()),
    }
}

fn read(root: &Field<'_>, providers: &[&str], found: &mut Findings) -> Option<Configuration> {
    let table = root.table(&["channels", "suspensions", "limits"], found)?;
    let fields = table.required("channels", found)?.items(found);
    let mut list: Vec<Channel> = Vec::with_capacity(fields.len());
    for field in &fields {
        let Some(channel) = read_channel(field, providers, found) else {
            continue;
        };
        if ChannelIndex::new(list.len()).is_none() {
            field.refuse(found, format!("at most {MAX_CHANNELS} channels are allowed"));
            break;
        }
        if list.iter().any(|earlier| earlier.id == channel.id) {
            field.refuse(found, format!("channel `{}` is there already", channel.id));
        } else {
            list.push(channel);
        }
    }
    if fields.is_empty() {
        table.refuse_key("channels", found, "expected at least one channel");
    }
    let channels = Channels::new(list).ok()?;
    let suspensions = table.get("suspensions");
    let limits = table.get("limits");
    Some(Configuration {
        suspensions: suspensions.map_or_else(Vec::new, |field| read_suspensions(&field, &channels, found)),
        limits: limits.map_or_else(Vec::new, |field| read_limits(&field, &channels, found)),
        channels,
    })
}

const CHANNEL_KEYS: [&str; 16] = [
    "id",
    "provider",
    "methods",
    "presentments",
    "currencies",
    "min_amount_minor",
    "max_amount_minor",
    "countries",
    "issuers",
    "card_brands",
    "timeout_ms",
    "cost",
    "capabilities",
    "accounts",
    "tags",
    "enabled",
];

fn read_channel(field: &Field<'_>, providers: &[&str], found: &mut Findings) -> Option<Channel> {
    let table = field.table(&CHANNEL_KEYS, found)?;
    // Whatever is wrong has been reported and refuses the document, so a blank may stand in for it: the rest is
    // still checked, and what refers to the channel is not reported as well.
    let id = table
        .required("id", found)
        .and_then(|id| read_channel_id(&id, found));
    let provider = table.required("provider", found).and_then(|provider| {
        let name = provider.text(found)?;
        if !providers.contains(&name) {
            provider.unknown_name(name, providers, found);
        }
        Some(name.to_owned())
    });
    let methods = table.required("methods", found).map(|methods| {
        let names = labels(&methods, found);
        if names.is_empty() {
            methods.refuse(found, "expected at least one method");
        }
        names
    });
    let timeout_ms = table
        .required("timeout_ms", found)
        .and_then(|timeout| timeout.number(TIMEOUT_MS, found));
    let mut list = |key: &str| {
        table
            .get(key)
            .map_or_else(Vec::new, |field| labels(&field, found))
    };
    let (presentments, issuers) = (list("presentments"), list("issuers"));
    let (card_brands, tags) = (list("card_brands"), list("tags"));
    let enabled = table.get("enabled").and_then(|field| field.flag(found));
    let accounts = table.required("accounts", found);
    let (min_amount_minor, max_amount_minor) = read_amounts(&table, found);
    let channel = Channel {
        provider: provider.unwrap_or_default(),
        methods: methods.unwrap_or_default(),
        presentments,
        currencies: read_currencies(&table, found),
        min_amount_minor,
        max_amount_minor,
        countries: table
            .get("countries")
            .map_or_else(Vec::new, |field| field.texts_that(not_a_country, found)),
        issuers,
        card_brands,
        timeout_ms: timeout_ms.unwrap_or_default(),
        cost: table
            .get("cost")
            .map_or_else(Cost::default, |field| read_cost(&field, found)),
        capabilities: table
            .get("capabilities")
            .map_or_else(Capabilities::default, |field| read_capabilities(&field, found)),
        accounts: accounts.map_or_else(Vec::new, |field| {
            read_accounts(&field, enabled != Some(false), found)
        }),
        tags,
        enabled: enabled != Some(false),
        id: id?,
    };
    Some(channel)
}

/// A channel's name. `rest` and `tag:` mean something else wherever a policy names channels.
fn read_channel_id(field: &Field<'_>, found: &mut Findings) -> Option<ChannelId> {
    let id: ChannelId = field.parsed(|text| ChannelId::new(text), found)?;
    if id.as_str() == "rest" || id.as_str().contains(':') {
        field.refuse(
            found,
            format!("`{id}`: a channel is not called `rest`, and its name has no colon"),
        );
    }
    Some(id)
}

/// A list of labels as they come over the wire: methods, presentments, issuers, brands, tags.
fn labels(field: &Field<'_>, found: &mut Findings) -> Vec<String> {
    field.texts_that(not_a_label, found)
}

/// What keeps `name` from being a label; `None` when it is one.
pub(crate) fn not_a_label(name: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    (!name.chars().all(fits))
        .then(|| format!("`{name}`: expected lower-case letters, digits, `_`, `-` and `.` only"))
}

fn read_currencies(table: &Table<'_>, found: &mut Findings) -> Vec<Currency> {
    let Some(field) = table.required("currencies", found) else {
        return Vec::new();
    };
    let items = field.items(found);
    if items.is_empty() {
        field.refuse(found, "expected at least one currency");
    }
    let codes = items.iter().filter_map(|item| item.parsed(str::parse, found));
    codes.collect()
}

fn read_amounts(table: &Table<'_>, found: &mut Findings) -> (Option<i64>, Option<i64>) {
    let mut bound = |key: &str| {
        table
            .get(key)
            .and_then(|field| field.integer(1..=i64::MAX, found))
    };
    let (least, most) = (bound("min_amount_minor"), bound("max_amount_minor"));
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        let message = format!("min_amount_minor {least} is above max_amount_minor {most}");
        table.refuse_key("min_amount_minor", found, message);
    }
    (least, most)
}

fn read_cost(field: &Field<'_>, found: &mut Findings) -> Cost {
    let Some(table) = field.table(&["basis_points", "fixed_minor"], found) else {
        return Cost::default();
    };
    let share = table.get("basis_points");
    let fixed = table.get("fixed_minor");
    Cost {
        basis_points: share
            .and_then(|f| f.number(0..=MAX_BASIS_POINTS, found))
            .unwrap_or(0),
        fixed_minor: fixed.and_then(|f| f.integer(0..=i64::MAX, found)).unwrap_or(0),
    }
}

fn read_capabilities(field: &Field<'_>, found: &mut Findings) -> Capabilities {
    let Some(table) = field.table(&["idempotent", "query", "reversal", "authorize"], found) else {
        return Capabilities::default();
    };
    let mut flag = |key: &str| {
        table
            .get(key)
            .and_then(|field| field.flag(found))
            .unwrap_or(false)
    };
    Capabilities {
        idempotent: flag("idempotent"),
        query: flag("query"),
        reversal: flag("reversal"),
        authorize: flag("authorize"),
    }
}

fn read_accounts(field: &Field<'_>, enabled: bool, found: &mut Findings) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for item in field.items(found) {
        let Some(account) = read_account(&item, found) else {
            continue;
        };
        if accounts.iter().any(|earlier| earlier.id == account.id) {
            item.refuse(found, format!("account `{}` is there already", account.id));
        }
        accounts.push(account);
    }
    if enabled && !accounts.iter().any(super::is_active) {
        field.refuse(
            found,
            "no account is active: expected one, or `enabled: false` on the channel",
        );
    }
    accounts
}

fn read_account(field: &Field<'_>, found: &mut Findings) -> Option<Account> {
    const STATES: [(&str, AccountState); 3] = [
        ("active", AccountState::Active),
        ("draining", AccountState::Draining),
        ("suspended", AccountState::Suspended),
    ];
    let table = field.table(&["id", "state", "weight"], found)?;
    let state = table.get("state").map(|field| field.choice(&STATES, found));
    let weight = table
        .get("weight")
        .map(|field| field.number(1..=MAX_WEIGHT, found));
    Some(Account {
        id: table
            .required("id", found)
            .and_then(|id| id.parsed(|text| AccountId::new(text), found))?,
        state: state.unwrap_or(Some(AccountState::Active))?,
        weight: weight.unwrap_or(Some(1))?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROVIDERS: [&str; 2] = ["alipay", "stripe"];

    const GOOD: &str = "\
channels:
  - id: ali
    provider: alipay
    methods: [alipay]
    currencies: [CNY]
    min_amount_minor: 1
    max_amount_minor: 5000000
    countries: [CN, NO]
    timeout_ms: 5000
    cost: {basis_points: 60}
    capabilities: {query: true}
    accounts: [{id: main, weight: 3}, {id: old, state: draining}]
suspensions:
  - {channel: ali, issuer: icbc, reason: works, author: ops, from: 2026-01-01T00:00:00Z}
limits:
  - {id: velocity, per: [customer], count: 5, window_secs: 600, hard: true}
";

    fn refused(text: &str) -> Vec<String> {
        let diagnostics = load(text, "c.yaml", &PROVIDERS).unwrap_err();
        diagnostics.iter().map(ToString::to_string).collect()
    }

    fn changed(from: &str, to: &str) -> Vec<String> {
        assert!(GOOD.contains(from));
        refused(&GOOD.replace(from, to))
    }

    #[test]
    fn a_good_document_is_read_whole() {
        let configuration = load(GOOD, "c.yaml", &PROVIDERS).unwrap();
        let ali = configuration.channels.iter().next().unwrap().1;
        assert_eq!(ali.cost.basis_points, 60);
        assert_eq!(ali.countries, ["CN", "NO"]);
        assert!(ali.enabled && ali.capabilities.query && !ali.capabilities.reversal);
        assert_eq!(configuration.suspensions.len(), 1);
        assert_eq!(configuration.limits.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            changed("timeout_ms: 5000", "timeout_ms: 5"),
            [
                "c.yaml:9:17: channels[0].timeout_ms: found the number 5, expected a whole number from 100 to 120000"
            ]
        );
        assert_eq!(
            changed("provider: alipay", "provider: alypay"),
            ["c.yaml:3:15: channels[0].provider: `alypay`, did you mean `alipay`?"]
        );
        assert_eq!(
            changed("[CN, NO]", "[CN, UK]"),
            [
                "c.yaml:8:21: channels[0].countries[1]: `UK` is not a country code of ISO 3166-1, such as CN or NO"
            ]
        );
        assert_eq!(
            changed("min_amount_minor: 1\n", "min_amount_minor: 6000000\n"),
            ["c.yaml:6:5: channels[0]: min_amount_minor 6000000 is above max_amount_minor 5000000"]
        );
        assert_eq!(
            changed("main, weight: 3", "main, state: suspended"),
            [
                "c.yaml:12:15: channels[0].accounts: no account is active: expected one, or `enabled: false` on the channel"
            ]
        );
        assert_eq!(
            changed("channel: ali", "channel: alli"),
            ["c.yaml:14:15: suspensions[0].channel: `alli`, did you mean `ali`?"]
        );
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let found = refused("channels:\n  - {id: a b, provider: x, timeout_ms: soon}\nlimit: []\n");
        assert_eq!(found.len(), 7, "{found:#?}");
    }

    #[test]
    fn a_name_that_a_policy_could_not_say_is_refused() {
        assert_eq!(changed("- id: ali\n", "- id: rest\n").len(), 2);
    }

    proptest! {
        #[test]
        fn no_document_makes_the_loader_panic(cut in 0..GOOD.len(), junk in "[ -~\\n]{0,12}") {
            let mut text = GOOD.to_owned();
            text.insert_str(cut, &junk);
            let _ = load(&text, "c.yaml", &PROVIDERS);
        }
    }
}
