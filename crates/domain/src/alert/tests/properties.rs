//! What holds whatever is seen.

use proptest::prelude::*;

use super::super::Resolution;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Saw {
    Well,
    Ill,
    Line,
    Few,
    Nothing,
    NoData,
    Error,
}

impl Saw {
    fn reading(self, second: i64) -> Reading {
        match self {
            Self::Well => well(second),
            Self::Ill => ill(second),
            Self::Line => seen(100, 5, second),
            Self::Few => seen(5, 0, second),
            Self::Nothing => seen(0, 0, second),
            Self::NoData => Reading::NoData,
            Self::Error => Reading::Error("away".into()),
        }
    }

    const fn is_evidence(self) -> bool {
        matches!(self, Self::Well)
    }
}

fn saw() -> impl Strategy<Value = Saw> {
    prop_oneof![
        4 => Just(Saw::Well),
        4 => Just(Saw::Ill),
        1 => Just(Saw::Line),
        1 => Just(Saw::Few),
        1 => Just(Saw::Nothing),
        1 => Just(Saw::NoData),
        1 => Just(Saw::Error),
    ]
}

/// Stretches of the same, each so many evaluations long.
fn history() -> impl Strategy<Value = Vec<Saw>> {
    let stretch = (saw(), 1..12_usize).prop_map(|(saw, length)| vec![saw; length]);
    proptest::collection::vec(stretch, 0..25).prop_map(|stretches| stretches.concat())
}

fn lived(history: &[Saw]) -> World {
    let mut world = World::new(ONE);
    for (second, saw) in (0..).step_by(10).zip(history) {
        world.look(second, saw.reading(second));
    }
    world
}

proptest! {
    // Each goes through a store hundreds of times.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn each_generation_is_told_once_and_over_once_in_turn(history in history()) {
        let world = lived(&history);
        let mut open: Option<Box<str>> = None;
        let mut keys = Vec::new();
        for (_, sent) in &world.sent {
            match sent.kind {
                Kind::Trigger => {
                    prop_assert!(open.is_none(), "two at once: {:?}", world.kinds());
                    prop_assert!(!keys.contains(&sent.key), "a key comes back");
                    keys.push(sent.key.clone());
                    open = Some(sent.key.clone());
                }
                Kind::Resolve => prop_assert_eq!(open.take(), Some(sent.key.clone())),
                Kind::Update | Kind::Repeat | Kind::Flapping => prop_assert_eq!(open.as_ref(), Some(&sent.key)),
            }
        }
        let is_active = world.instances.first().is_some_and(|instance| instance.state.is_active());
        prop_assert_eq!(open.is_some(), is_active);
    }

    #[test]
    fn firing_and_over_take_turns_and_generations_count_them(history in history()) {
        let world = lived(&history);
        let mut fires = false;
        let mut generation = 0;
        for transition in &world.transitions {
            match transition.change {
                Change::Fired => {
                    prop_assert!(!fires);
                    generation += 1;
                    fires = true;
                }
                Change::Resolved { by } => {
                    prop_assert!(fires && by == Resolution::Recovered);
                    fires = false;
                }
                _ => {}
            }
            prop_assert_eq!(transition.generation, generation);
        }
        prop_assert!(world.instances.len() <= 1);
    }

    #[test]
    fn nothing_is_resolved_without_being_seen_to_be_well_all_the_time(history in history()) {
        let world = lived(&history);
        for (second, change) in world.changes() {
            if matches!(change, Change::Resolved { .. }) {
                let last = usize::try_from(second / 10).unwrap();
                // A minute, in evaluations, this one included.
                let seen = &history[last - 6..=last];
                prop_assert!(seen.iter().all(|saw| saw.is_evidence()), "{seen:?}");
            }
        }
    }

    #[test]
    fn nothing_fires_without_being_seen_to_be_wrong(history in history()) {
        let world = lived(&history);
        for (second, change) in world.changes() {
            if matches!(change, Change::Fired | Change::Relapsed) {
                let last = usize::try_from(second / 10).unwrap();
                let wanted = change == Change::Relapsed || matches!(history[last], Saw::Ill);
                prop_assert!(wanted, "{:?} at {second}", history[last]);
            }
        }
    }

    #[test]
    fn however_it_flaps_there_are_few_messages_an_hour(periods in proptest::collection::vec(1..90_usize, 1..60)) {
        let mut history = Vec::new();
        for (turn, period) in periods.iter().enumerate() {
            history.extend(vec![if turn % 2 == 0 { Saw::Ill } else { Saw::Well }; *period]);
        }
        history.truncate(360);
        let world = lived(&history);
        // Four generations before it counts as flapping; then it is kept for two minutes, four, eight and so on.
        let told = world.sent.len();
        prop_assert!(told <= 20, "{:?}", world.kinds());
        let flapping = world.sent.iter().filter(|(_, sent)| sent.kind == Kind::Flapping).count();
        prop_assert!(flapping <= 3);
    }

    #[test]
    fn an_evaluation_twice_at_the_same_moment_changes_nothing(history in history()) {
        let once = lived(&history);
        let mut twice = World::new(ONE);
        for (second, saw) in (0..).step_by(10).zip(&history) {
            twice.look(second, saw.reading(second));
            twice.look(second, saw.reading(second));
        }
        prop_assert_eq!(once.kinds(), twice.kinds());
        prop_assert_eq!(once.changes(), twice.changes());
    }
}
