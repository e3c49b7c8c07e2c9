//! The senders against the receiver zoo: every format accepted by a strict receiver, every hostile one survived.

#![cfg(test)]

mod guarded;
mod hostile;
mod secure;
mod stand;
mod vendors;
