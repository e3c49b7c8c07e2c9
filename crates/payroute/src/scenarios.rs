//! Finding the scenarios that are asked for.

use std::path::Path;

use anyhow::Context as _;
use domain::channels::Channels;
use simulator::scenario::Scenario;
use simulator::scenario::shipped::SHIPPED;

/// The scenarios of these names or files, in order; all that come with Payroute when `wanted` is empty.
///
/// # Errors
/// When a name is neither a shipped scenario nor a file, or a file is no scenario.
pub(crate) fn find(wanted: &[String]) -> anyhow::Result<Vec<Scenario>> {
    if wanted.is_empty() {
        return SHIPPED
            .iter()
            .map(|shipped| parse(shipped.name, shipped.yaml))
            .collect();
    }
    wanted.iter().map(|name| find_one(name)).collect()
}

/// The scenario of this name or file.
///
/// # Errors
/// As for [`find`].
pub(crate) fn find_one(name: &str) -> anyhow::Result<Scenario> {
    if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) {
        return parse(name, shipped.yaml);
    }
    let path = Path::new(name);
    let is_file = path.is_file()
        || path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
    if !is_file {
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        anyhow::bail!(
            "scenario `{name}` is not there: expected a YAML file or one of {}",
            names.join(", ")
        );
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    parse(name, &text)
}

fn parse(name: &str, text: &str) -> anyhow::Result<Scenario> {
    Scenario::from_yaml(text).with_context(|| format!("scenario {name} is not good"))
}

/// Refuses a scenario with channels that the shop does not have: there would be no saying what its policy does there.
///
/// # Errors
/// Names them all.
pub(crate) fn check(scenario: &Scenario, channels: &Channels) -> anyhow::Result<()> {
    let ids = scenario.channels.iter().map(|channel| channel.id.as_str());
    let missing: Vec<&str> = ids.filter(|id| channels.index_of(id).is_none()).collect();
    anyhow::ensure!(
        missing.is_empty(),
        "scenario {} has channels that the shop does not have: {}",
        scenario.name,
        missing.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::catalogue::Catalogue;

    use crate::shop_files::ShopFiles;

    fn example() -> ShopFiles {
        ShopFiles::example(&Catalogue::built_in().unwrap()).unwrap()
    }

    #[test]
    fn the_example_shop_has_every_channel_of_the_shipped_scenarios() {
        let shop = example();
        for scenario in find(&[]).unwrap() {
            check(&scenario, &shop.configuration.channels).unwrap();
        }
    }

    #[test]
    fn a_channel_that_the_shop_does_not_have_is_named() {
        let demo = SHIPPED[0].yaml.replace("adyen_cards", "some_cards");
        let scenario = Scenario::from_yaml(&demo).unwrap();
        let refused = check(&scenario, &example().configuration.channels).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "scenario demo has channels that the shop does not have: some_cards"
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_are_there() {
        let refused = find(&["outrage".to_owned()]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "scenario `outrage` is not there: expected a YAML file or one of \
             demo, quiet, outage, brown_out, issuer_outage, slow"
        );
    }
}
