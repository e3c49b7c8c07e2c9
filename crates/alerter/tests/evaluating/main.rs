//! Evaluators against real stores, in time that the tests move: what they find, write and tell.

#![cfg(test)]

mod life;
mod racing;
mod runbooks;
mod stand;
mod standing;
mod trouble;
