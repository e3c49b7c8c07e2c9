//! A table by dense number that grows as numbers appear.

use serde::de::Error as _;
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most cells of a table that is read back: far beyond what the brain's limits allow, and little enough to be held.
const MOST_CELLS: usize = 1 << 20;

/// Cells by number. A number that was never written reads as the cell every new one starts as.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    cells: Vec<T>,
    fresh: T,
}

impl<T: Clone> Table<T> {
    /// An empty table whose cells start as `fresh`.
    pub(super) const fn new(fresh: T) -> Self {
        Self {
            cells: Vec::new(),
            fresh,
        }
    }

    /// The cell of `number`.
    pub(super) fn at(&self, number: usize) -> &T {
        self.cells.get(number).unwrap_or(&self.fresh)
    }

    /// The cell of `number`, to be changed.
    pub(super) fn at_mut(&mut self, number: usize) -> &mut T {
        if number >= self.cells.len() {
            self.cells.resize(number.saturating_add(1), self.fresh.clone());
        }
        match self.cells.get_mut(number) {
            Some(cell) => cell,
            None => &mut self.fresh,
        }
    }

    /// Lets cells that were never written start as `fresh` from now on.
    pub(super) fn set_fresh(&mut self, fresh: T) {
        self.fresh = fresh;
    }

    /// The cells that were written or lie before one that was, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.cells.iter().enumerate()
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.cells.iter_mut().enumerate()
    }
}

/// Cells that are as they started are left out: what starts a cell is the reader's own.
impl<T: Serialize + PartialEq> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = || {
            self.cells
                .iter()
                .enumerate()
                .filter(|(_, cell)| **cell != self.fresh)
        };
        let mut cells = serializer.serialize_seq(Some(written().count() + 1))?;
        cells.serialize_element(&(0_usize, &self.fresh))?;
        for cell in written() {
            cells.serialize_element(&cell)?;
        }
        cells.end()
    }
}

impl<'de, T: Deserialize<'de> + Clone> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut written = Vec::<(usize, T)>::deserialize(deserializer)?.into_iter();
        let Some((_, fresh)) = written.next() else {
            return Err(D::Error::custom("a table without its first cell"));
        };
        let mut table = Self::new(fresh);
        for (number, cell) in written {
            if number >= MOST_CELLS {
                return Err(D::Error::custom("a table of too many cells"));
            }
            *table.at_mut(number) = cell;
        }
        Ok(table)
    }
}
