//! A table by dense number that grows as numbers appear.

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

    /// The cells that were written or lie before one that was, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.cells.iter().enumerate()
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.cells.iter_mut().enumerate()
    }
}
