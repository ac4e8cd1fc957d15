//! Session settings that change how values are written and read.

/// DateStyle's output part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the settings' own names")]
pub enum DateStyle {
    Iso,
    Postgres,
    Sql,
    German,
}

/// DateStyle's field order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the settings' own names")]
pub enum DateOrder {
    Mdy,
    Dmy,
    Ymd,
}

/// IntervalStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the settings' own names")]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

/// bytea_output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the settings' own names")]
pub enum ByteaOutput {
    Hex,
    Escape,
}

/// The settings that text input and output depend on.
#[derive(Clone, Debug)]
pub struct FormatSettings {
    /// DateStyle, first part.
    pub date_style: DateStyle,
    /// DateStyle, second part.
    pub date_order: DateOrder,
    /// IntervalStyle.
    pub interval_style: IntervalStyle,
    /// extra_float_digits.
    pub extra_float_digits: i32,
    /// bytea_output.
    pub bytea_output: ByteaOutput,
    /// TimeZone.
    pub time_zone: jiff::tz::TimeZone,
    /// Now, in microseconds since 2000-01-01 UTC, for 'now', 'today' and the like in input.
    pub now: i64,
    /// What is known about types that users made.
    pub types: crate::user::Types,
}

impl Default for FormatSettings {
    fn default() -> Self {
        Self {
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            extra_float_digits: 1,
            bytea_output: ByteaOutput::Hex,
            time_zone: jiff::tz::TimeZone::UTC,
            now: 0,
            types: crate::user::Types::default(),
        }
    }
}
