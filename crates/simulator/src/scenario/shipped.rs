//! The scenarios that come with Payroute, inside the program: nothing has to be installed beside it.

/// A scenario that comes with Payroute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// What to ask for.
    pub name: &'static str,
    /// The document.
    pub yaml: &'static str,
}

/// All of them. The first is the demo's.
pub const SHIPPED: [Shipped; 6] = [
    Shipped {
        name: "demo",
        yaml: include_str!("../../scenarios/demo.yaml"),
    },
    Shipped {
        name: "quiet",
        yaml: include_str!("../../scenarios/quiet.yaml"),
    },
    Shipped {
        name: "outage",
        yaml: include_str!("../../scenarios/outage.yaml"),
    },
    Shipped {
        name: "brown_out",
        yaml: include_str!("../../scenarios/brown_out.yaml"),
    },
    Shipped {
        name: "issuer_outage",
        yaml: include_str!("../../scenarios/issuer_outage.yaml"),
    },
    Shipped {
        name: "slow",
        yaml: include_str!("../../scenarios/slow.yaml"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn every_one_is_good_and_has_its_own_name() {
        for shipped in SHIPPED {
            match Scenario::from_yaml(shipped.yaml) {
                Ok(scenario) => assert_eq!(scenario.name, shipped.name),
                Err(error) => panic!("{}: {error}", shipped.name),
            }
        }
    }

    #[test]
    fn none_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), SHIPPED.len());
    }
}
