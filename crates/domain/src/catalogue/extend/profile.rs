//! A provider's profile in an operator's document: how to ask it for a result, and when to take an attempt back.

use super::Catalogue;
use crate::attempt::{Delays, FinalSource, MAX_DELAY_MS, ProviderProfile, family};
use crate::document::field::{Field, Findings, Table, unknown_name};

/// Most tries of anything before a person has to look.
const MAX_TRIES: i64 = 100;

/// The name of the profile of every provider that has none of its own.
const EVERYBODY: &str = "default";

const KEYS: [&str; 10] = [
    "query_delays_ms",
    "customer_query_delays_ms",
    "reverse_not_before_ms",
    "reverse_retry_ms",
    "reverse_tries",
    "close_not_before_ms",
    "refund_retry_ms",
    "refund_tries",
    "replays_same_key",
    "final_source",
];

impl Catalogue {
    /// How `provider` wants to be asked for a result: what the operator says of it or of its family, else what is
    /// part of the program.
    #[must_use]
    pub fn profile(&self, provider: &str) -> ProviderProfile {
        let laid = |name: &str| {
            let mut profiles = self.profiles.iter();
            profiles.find(|(known, _)| &**known == name).map(|(_, it)| *it)
        };
        let built_in = ProviderProfile::of(provider);
        let is_plain = built_in == ProviderProfile::of(EVERYBODY);
        laid(provider)
            .or_else(|| laid(family(provider)))
            .or_else(|| laid(EVERYBODY).filter(|_| is_plain))
            .unwrap_or(built_in)
    }

    pub(super) fn lay_profiles(&mut self, field: &Field<'_>, found: &mut Findings) {
        let Some(table) = field.open_table(found) else {
            return;
        };
        for (name, profile) in table.fields() {
            let known = self.asked();
            if !known.contains(&name) {
                table.refuse_key(name, found, unknown_name(name, &known));
                continue;
            }
            let before = self.profile(name);
            let Some(profile) = read(&profile, before, found) else {
                continue;
            };
            self.profiles.retain(|(known, _)| &**known != name);
            self.profiles.push((name.into(), profile));
        }
    }

    /// Everybody who may have a profile: families, providers, and everybody else.
    fn asked(&self) -> Vec<&str> {
        let providers = self.providers();
        let mut asked: Vec<&str> = providers
            .iter()
            .map(|name| family(name))
            .chain(providers.iter().copied())
            .collect();
        asked.push(EVERYBODY);
        asked.sort_unstable();
        asked.dedup();
        asked
    }
}

/// The profile that the table makes of the one `before`.
fn read(field: &Field<'_>, before: ProviderProfile, found: &mut Findings) -> Option<ProviderProfile> {
    let table = field.table(&KEYS, found)?;
    let mut profile = before;
    set(
        &mut profile.query_delays_ms,
        delays(&table, "query_delays_ms", found),
    );
    let waiting = delays(&table, "customer_query_delays_ms", found);
    set(&mut profile.customer_query_delays_ms, waiting);
    let mut milliseconds = |key, place: &mut u32, least: i64| {
        let given = table.get(key);
        let given = given.and_then(|given| given.number(least..=i64::from(MAX_DELAY_MS), found));
        set(place, given);
    };
    milliseconds("reverse_not_before_ms", &mut profile.reverse_not_before_ms, 0);
    milliseconds("reverse_retry_ms", &mut profile.reverse_retry_ms, 1);
    milliseconds("close_not_before_ms", &mut profile.close_not_before_ms, 0);
    milliseconds("refund_retry_ms", &mut profile.refund_retry_ms, 1);
    for (key, place) in [
        ("reverse_tries", &mut profile.reverse_tries),
        ("refund_tries", &mut profile.refund_tries),
    ] {
        let given = table.get(key);
        set(place, given.and_then(|given| given.number(1..=MAX_TRIES, found)));
    }
    let replays = table.get("replays_same_key");
    set(
        &mut profile.replays_same_key,
        replays.and_then(|given| given.flag(found)),
    );
    let sources = FinalSource::ALL.map(|source| (source.as_str(), source));
    let source = table.get("final_source");
    set(
        &mut profile.final_source,
        source.and_then(|given| given.choice(&sources, found)),
    );
    Some(profile)
}

fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

fn delays(table: &Table<'_>, key: &str, found: &mut Findings) -> Option<Delays> {
    let field = table.get(key)?;
    let mut all = Vec::new();
    for item in field.items(found) {
        all.push(item.number::<u32>(0..=i64::from(MAX_DELAY_MS), found)?);
    }
    match Delays::new(&all) {
        Ok(delays) => Some(delays),
        Err(problem) => {
            field.refuse(found, problem.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(profiles: &str) -> Result<Catalogue, Vec<String>> {
        let text = format!("version: 1\nprofiles:\n{profiles}");
        Catalogue::load(&[("own.yaml", &text)])
            .map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_profile_says_only_what_it_changes() {
        let catalogue = load("  wechatpay: {query_delays_ms: [1000, 2000], reverse_tries: 9}\n").unwrap();
        let profile = catalogue.profile("wechatpay_v3");
        assert_eq!(profile.query_delays_ms.as_slice(), [1_000, 2_000]);
        assert_eq!(profile.reverse_tries, 9);
        assert_eq!(profile.close_not_before_ms, 300_000, "as it was built in");
        assert_eq!(catalogue.profile("alipay"), ProviderProfile::of("alipay"));
    }

    #[test]
    fn a_provider_goes_before_its_family_and_both_before_everybody() {
        let text = "  default: {refund_tries: 2}\n  wechatpay: {refund_tries: 3}\n  wechatpay_v3: {refund_tries: 4}\n";
        let catalogue = load(text).unwrap();
        let tries = |provider| catalogue.profile(provider).refund_tries;
        assert_eq!([tries("wechatpay_v3"), tries("wechatpay_v2")], [4, 3]);
        assert_eq!(
            [tries("paypal"), tries("alipay")],
            [2, 10],
            "alipay has one of its own"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let text =
            "  wechatpey: {}\n  alipay: {query_delays_ms: [5, 5], reverse_tries: 0, final_source: file}\n";
        assert_eq!(
            load(text).unwrap_err(),
            [
                "own.yaml:3:3: profiles: `wechatpey`, did you mean `wechatpay`?",
                "own.yaml:4:29: profiles.alipay.query_delays_ms: 5 does not come after the one before, expected \
                 ascending delays",
                "own.yaml:4:52: profiles.alipay.reverse_tries: found the number 0, expected a whole number from 1 to 100",
                "own.yaml:4:69: profiles.alipay.final_source: `file`, expected one of: query, settlement",
            ]
        );
    }
}
