//! Reads rows of either store into records; every failure names its table and column.

pub(crate) mod attempt;
pub(crate) mod attributes;
pub(crate) mod compensation;
pub(crate) mod decision;
pub(crate) mod delivery;
pub(crate) mod guard;
pub(crate) mod observation;
pub(crate) mod transition;

use std::fmt::Display;

use jiff::Timestamp;

use crate::error::LedgerError;

/// A row of any store. An empty cell is `None`.
pub(crate) trait Cells: Sync {
    /// Text.
    fn text(&self, field: &'static str) -> Result<Option<&str>, sqlx::Error>;
    /// A whole number.
    fn whole(&self, field: &'static str) -> Result<Option<i64>, sqlx::Error>;
    /// A number.
    fn real(&self, field: &'static str) -> Result<Option<f64>, sqlx::Error>;
    /// Yes or no.
    fn truth(&self, field: &'static str) -> Result<Option<bool>, sqlx::Error>;
    /// Bytes.
    fn bytes(&self, field: &'static str) -> Result<Option<&[u8]>, sqlx::Error>;
    /// A time, in microseconds since the Unix epoch.
    fn micros(&self, field: &'static str) -> Result<Option<i64>, sqlx::Error>;
}

/// A row of a known table.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'r> {
    table: &'static str,
    row: &'r dyn Cells,
}

impl<'r> Columns<'r> {
    /// The columns of `row`, which comes from `table`.
    pub(crate) fn of(table: &'static str, row: &'r dyn Cells) -> Self {
        Self { table, row }
    }

    /// The text in column `field`.
    pub(crate) fn text(&self, field: &'static str) -> Result<String, LedgerError> {
        self.filled(field, self.row.text(field)).map(ToOwned::to_owned)
    }

    /// The text in column `field`, when there is one.
    pub(crate) fn text_some(&self, field: &'static str) -> Result<Option<String>, LedgerError> {
        self.read(field, self.row.text(field))
            .map(|text| text.map(ToOwned::to_owned))
    }

    /// The text in column `field`, passed through `convert`.
    pub(crate) fn parse<T, E: Display>(
        &self,
        field: &'static str,
        convert: impl FnOnce(&'r str) -> Result<T, E>,
    ) -> Result<T, LedgerError> {
        self.convert(field, self.filled(field, self.row.text(field))?, convert)
    }

    /// The text in column `field`, passed through `convert` when there is one.
    pub(crate) fn parse_some<T, E: Display>(
        &self,
        field: &'static str,
        convert: impl FnOnce(&'r str) -> Result<T, E>,
    ) -> Result<Option<T>, LedgerError> {
        self.read(field, self.row.text(field))?
            .map(|text| self.convert(field, text, convert))
            .transpose()
    }

    /// The whole number in column `field`.
    pub(crate) fn whole<T: TryFrom<i64>>(&self, field: &'static str) -> Result<T, LedgerError>
    where
        T::Error: Display,
    {
        self.convert(field, self.filled(field, self.row.whole(field))?, T::try_from)
    }

    /// The whole number in column `field`, when there is one.
    pub(crate) fn whole_some<T: TryFrom<i64>>(&self, field: &'static str) -> Result<Option<T>, LedgerError>
    where
        T::Error: Display,
    {
        self.read(field, self.row.whole(field))?
            .map(|whole| self.convert(field, whole, T::try_from))
            .transpose()
    }

    /// The number in column `field`, when there is one.
    pub(crate) fn real_some(&self, field: &'static str) -> Result<Option<f64>, LedgerError> {
        self.read(field, self.row.real(field))
    }

    /// The yes or no in column `field`.
    pub(crate) fn truth(&self, field: &'static str) -> Result<bool, LedgerError> {
        self.filled(field, self.row.truth(field))
    }

    /// The bytes in column `field`, passed through `convert`.
    pub(crate) fn bytes<T, E: Display>(
        &self,
        field: &'static str,
        convert: impl FnOnce(&'r [u8]) -> Result<T, E>,
    ) -> Result<T, LedgerError> {
        self.convert(field, self.filled(field, self.row.bytes(field))?, convert)
    }

    /// The time in column `field`.
    pub(crate) fn time(&self, field: &'static str) -> Result<Timestamp, LedgerError> {
        let micros = self.filled(field, self.row.micros(field))?;
        self.convert(field, micros, Timestamp::from_microsecond)
    }

    /// The time in column `field`, which holds microseconds since the Unix epoch as a number.
    pub(crate) fn epoch(&self, field: &'static str) -> Result<Timestamp, LedgerError> {
        let micros = self.filled(field, self.row.whole(field))?;
        self.convert(field, micros, Timestamp::from_microsecond)
    }

    /// The same, when there is one.
    pub(crate) fn epoch_some(&self, field: &'static str) -> Result<Option<Timestamp>, LedgerError> {
        self.read(field, self.row.whole(field))?
            .map(|micros| self.convert(field, micros, Timestamp::from_microsecond))
            .transpose()
    }

    /// The time in column `field`, when there is one.
    pub(crate) fn time_some(&self, field: &'static str) -> Result<Option<Timestamp>, LedgerError> {
        self.read(field, self.row.micros(field))?
            .map(|micros| self.convert(field, micros, Timestamp::from_microsecond))
            .transpose()
    }

    /// The error that column `field` holds something else than it should.
    pub(crate) fn corrupt(&self, field: &'static str, problem: impl Display) -> LedgerError {
        LedgerError::Corrupt {
            table: self.table,
            field,
            problem: problem.to_string(),
        }
    }

    fn read<T>(&self, field: &'static str, cell: Result<T, sqlx::Error>) -> Result<T, LedgerError> {
        cell.map_err(|error| self.corrupt(field, error))
    }

    fn filled<T>(&self, field: &'static str, cell: Result<Option<T>, sqlx::Error>) -> Result<T, LedgerError> {
        self.read(field, cell)?
            .ok_or_else(|| self.corrupt(field, "it is empty"))
    }

    fn convert<T, U, E: Display>(
        &self,
        field: &'static str,
        value: T,
        convert: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<U, LedgerError> {
        convert(value).map_err(|error| self.corrupt(field, error))
    }
}
