//! A checkpoint gives back what was written, whatever the brain has lived through.

use std::sync::Arc;

use super::*;
use crate::brain::{Checkpoint, Origin, UnknownSchema};

fn written_and_read(checkpoint: &Checkpoint) -> Checkpoint {
    postcard::from_bytes(&postcard::to_stdvec(checkpoint).unwrap()).unwrap()
}

fn restored(brain: &Brain) -> Brain {
    let read = written_and_read(&brain.checkpoint());
    Brain::restore(read, brain.params(), SignedDuration::ZERO).unwrap()
}

/// Lives on in two copies and holds that they answer alike.
fn live_alike(mut one: World, mut other: World, life: Vec<(i64, Option<OutcomeClass>)>) {
    for (millis, class) in life {
        let (first, second) = (one.route(), other.route());
        assert_eq!(first.choice, second.choice);
        one.pass(millis);
        other.pass(millis);
        if let Some(class) = class {
            one.report(&first, class);
            other.report(&second, class);
        }
        assert_eq!(one.brain.health(), other.brain.health());
        assert_eq!(one.brain.in_flight(), other.brain.in_flight());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_restored_brain_answers_as_the_one_that_was_written(
        before in any_life(), after in any_life(), seed in any::<u64>(), dead in any::<bool>(),
    ) {
        let mut world = if dead { World::with_a_dead_channel(seed).0 } else { World::new(3, Params::default(), seed) };
        for (millis, class) in before {
            let sent = world.route();
            world.pass(millis);
            if let Some(class) = class {
                world.report(&sent, class);
            }
        }
        let other = World { brain: restored(&world.brain), ..world.clone() };
        live_alike(world, other, after);
    }

    #[test]
    fn a_brain_that_takes_over_what_it_knew_answers_as_before(before in any_life(), after in any_life(), seed in any::<u64>()) {
        let mut world = World::new(3, Params::default(), seed);
        world.brain.join(Origin(7));
        for (millis, class) in before {
            let sent = world.route();
            world.pass(millis);
            if let Some(class) = class {
                world.report(&sent, class);
            }
        }
        let mut other = world.clone();
        let _ = other.brain.take_deeds(usize::MAX);
        let learnt = restored(&world.brain);
        let _ = other.brain.rebase_on(learnt);
        live_alike(world, other, after);
    }

    #[test]
    fn truncated_or_changed_bytes_never_panic(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut world = World::new(2, Params::default(), seed);
        world.live(30, |_, rng| fate(rng, 0.8));
        let mut bytes = postcard::to_stdvec(&world.brain.checkpoint()).unwrap();
        let place = at.index(bytes.len());
        prop_assert!(postcard::from_bytes::<Checkpoint>(&bytes[..place]).is_err());
        bytes[place] = byte;
        if let Ok(read) = postcard::from_bytes::<Checkpoint>(&bytes) {
            let _ = Brain::restore(read, world.brain.params(), SignedDuration::ZERO).map(|brain| brain.health());
        }
    }
}

#[test]
fn equal_brains_give_equal_bytes() {
    let mut world = World::new(3, Params::default(), 1);
    world.live(200, |_, rng| fate(rng, 0.8));
    let bytes = |brain: &Brain| postcard::to_stdvec(&brain.checkpoint()).unwrap();
    assert_eq!(bytes(&world.brain), bytes(&restored(&world.brain)));
}

#[test]
fn a_reader_goes_on_by_its_own_numbers() {
    let mut world = World::new(2, Params::default(), 1);
    world.live(50, |_, rng| fate(rng, 0.8));
    let params = Params {
        limits: crate::brain::Limits {
            issuers: 4,
            ..crate::brain::Limits::default()
        },
        ..Params::default()
    };
    let read = written_and_read(&world.brain.checkpoint());
    let mut brain = Brain::restore(read, Arc::new(params), SignedDuration::ZERO).unwrap();
    let band = AmountBand::from_index(1).unwrap();
    let (one, two) = (
        brain.segment("card", Some("new"), band),
        brain.segment("card", Some("newer"), band),
    );
    assert_eq!(one, two);
}

#[test]
fn another_schema_is_refused() {
    let world = World::new(2, Params::default(), 1);
    let mut bytes = postcard::to_stdvec(&world.brain.checkpoint()).unwrap();
    bytes[0] = 9;
    let read = postcard::from_bytes::<Checkpoint>(&bytes).unwrap();
    let refused = Brain::restore(read, world.brain.params(), SignedDuration::ZERO).unwrap_err();
    assert_eq!(refused, UnknownSchema { found: 9 });
}

#[test]
fn a_checkpoint_of_another_clock_is_moved() {
    let (world, dead) = World::with_a_dead_channel(1);
    let shift = SignedDuration::from_hours(1);
    let brain = Brain::restore(world.brain.checkpoint(), world.brain.params(), shift).unwrap();
    let tripped = |brain: &Brain| brain.health()[usize::from(dead.0)].breaker.tripped_at.unwrap();
    assert_eq!(tripped(&brain), tripped(&world.brain) + shift);
}

#[test]
fn what_an_operator_decided_and_the_order_of_channels_stay_the_readers() {
    let mut writer = Brain::new(Params::default());
    let id = |name: &str| ChannelId::new(name).unwrap();
    writer.set_channels(&[id("c"), id("a"), id("gone")]);
    let mut reader = Brain::new(Params::default());
    reader.set_channels(&[id("a"), id("b"), id("c")]);
    let until = Timestamp::from_second(1_800_000_000).unwrap();
    reader.force(reader.channel_ix(&id("a")).unwrap(), Some(Forced::Out), until);
    let before = ["a", "b", "c"].map(|name| reader.channel_ix(&id(name)));
    let _ = reader.rebase_on(restored(&writer));
    assert_eq!(["a", "b", "c"].map(|name| reader.channel_ix(&id(name))), before);
    let health = reader.health();
    assert_eq!(health.len(), 3);
    assert_eq!(health[0].forced, Some((Forced::Out, until)));
}
