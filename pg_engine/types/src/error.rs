//! The error that reaches a client.

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::fmt;

/// Result with [`SqlError`].
pub type Result<T, E = SqlError> = core::result::Result<T, E>;

/// Five characters that clients switch on (SQL standard, PostgreSQL's appendix A).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// As text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        #[allow(missing_docs, reason = "the names are the standard's condition names")]
        impl SqlState {
            $($(#[$doc])* pub const $name: Self = Self(*$code);)*
        }
    };
}

states! {
    SUCCESSFUL_COMPLETION = b"00000";
    WARNING = b"01000";
    CONNECTION_EXCEPTION = b"08000";
    EXTERNAL_ROUTINE_INVOCATION_EXCEPTION = b"39000";
    PROTOCOL_VIOLATION = b"08P01";
    FEATURE_NOT_SUPPORTED = b"0A000";
    INVALID_TRANSACTION_STATE_INITIATION = b"0B000";
    CARDINALITY_VIOLATION = b"21000";
    STRING_DATA_RIGHT_TRUNCATION = b"22001";
    NUMERIC_VALUE_OUT_OF_RANGE = b"22003";
    NULL_VALUE_NOT_ALLOWED = b"22004";
    INVALID_DATETIME_FORMAT = b"22007";
    DATETIME_FIELD_OVERFLOW = b"22008";
    SUBSTRING_ERROR = b"22011";
    DIVISION_BY_ZERO = b"22012";
    INTERVAL_FIELD_OVERFLOW = b"22015";
    INVALID_ESCAPE_CHARACTER = b"22019";
    INVALID_USE_OF_ESCAPE_CHARACTER = b"2200C";
    CHARACTER_NOT_IN_REPERTOIRE = b"22021";
    INVALID_PARAMETER_VALUE = b"22023";
    INVALID_ESCAPE_SEQUENCE = b"22025";
    ARRAY_SUBSCRIPT_ERROR = b"2202E";
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = b"2201W";
    INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE = b"2201X";
    INVALID_REGULAR_EXPRESSION = b"2201B";
    INVALID_ARGUMENT_FOR_LOGARITHM = b"2201E";
    INVALID_ARGUMENT_FOR_NTILE_FUNCTION = b"22014";
    INVALID_ARGUMENT_FOR_NTH_VALUE_FUNCTION = b"22016";
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = b"22013";
    INVALID_ARGUMENT_FOR_POWER_FUNCTION = b"2201F";
    INVALID_TABLESAMPLE_ARGUMENT = b"2202H";
    INVALID_TABLESAMPLE_REPEAT = b"2202G";
    INVALID_TEXT_REPRESENTATION = b"22P02";
    INVALID_BINARY_REPRESENTATION = b"22P03";
    BAD_COPY_FILE_FORMAT = b"22P04";
    UNTRANSLATABLE_CHARACTER = b"22P05";
    SEQUENCE_GENERATOR_LIMIT_EXCEEDED = b"2200H";
    INTEGRITY_CONSTRAINT_VIOLATION = b"23000";
    NOT_NULL_VIOLATION = b"23502";
    FOREIGN_KEY_VIOLATION = b"23503";
    UNIQUE_VIOLATION = b"23505";
    CHECK_VIOLATION = b"23514";
    INVALID_CURSOR_STATE = b"24000";
    INVALID_TRANSACTION_STATE = b"25000";
    ACTIVE_SQL_TRANSACTION = b"25001";
    READ_ONLY_SQL_TRANSACTION = b"25006";
    NO_ACTIVE_SQL_TRANSACTION = b"25P01";
    IN_FAILED_SQL_TRANSACTION = b"25P02";
    INVALID_SQL_STATEMENT_NAME = b"26000";
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000";
    INVALID_PASSWORD = b"28P01";
    UNSAFE_NEW_ENUM_VALUE_USAGE = b"55P04";
    DEPENDENT_OBJECTS_STILL_EXIST = b"2BP01";
    INVALID_SAVEPOINT_SPECIFICATION = b"3B001";
    INVALID_CURSOR_NAME = b"34000";
    INVALID_CATALOG_NAME = b"3D000";
    INVALID_SCHEMA_NAME = b"3F000";
    SERIALIZATION_FAILURE = b"40001";
    DEADLOCK_DETECTED = b"40P01";
    SYNTAX_ERROR = b"42601";
    INSUFFICIENT_PRIVILEGE = b"42501";
    CANNOT_COERCE = b"42846";
    GROUPING_ERROR = b"42803";
    WINDOWING_ERROR = b"42P20";
    INVALID_RECURSION = b"42P19";
    INVALID_FOREIGN_KEY = b"42830";
    INVALID_NAME = b"42602";
    NAME_TOO_LONG = b"42622";
    RESERVED_NAME = b"42939";
    DATATYPE_MISMATCH = b"42804";
    INDETERMINATE_DATATYPE = b"42P18";
    COLLATION_MISMATCH = b"42P21";
    INDETERMINATE_COLLATION = b"42P22";
    WRONG_OBJECT_TYPE = b"42809";
    GENERATED_ALWAYS = b"428C9";
    UNDEFINED_COLUMN = b"42703";
    UNDEFINED_FUNCTION = b"42883";
    UNDEFINED_TABLE = b"42P01";
    UNDEFINED_PARAMETER = b"42P02";
    UNDEFINED_OBJECT = b"42704";
    DUPLICATE_COLUMN = b"42701";
    DUPLICATE_CURSOR = b"42P03";
    DUPLICATE_DATABASE = b"42P04";
    DUPLICATE_FUNCTION = b"42723";
    DUPLICATE_PREPARED_STATEMENT = b"42P05";
    DUPLICATE_SCHEMA = b"42P06";
    DUPLICATE_TABLE = b"42P07";
    DUPLICATE_ALIAS = b"42712";
    DUPLICATE_OBJECT = b"42710";
    AMBIGUOUS_COLUMN = b"42702";
    AMBIGUOUS_FUNCTION = b"42725";
    AMBIGUOUS_PARAMETER = b"42P08";
    INVALID_COLUMN_REFERENCE = b"42P10";
    INVALID_COLUMN_DEFINITION = b"42611";
    INVALID_OBJECT_DEFINITION = b"42P17";
    INVALID_TABLE_DEFINITION = b"42P16";
    INVALID_SCHEMA_DEFINITION = b"42P15";
    WITH_CHECK_OPTION_VIOLATION = b"44000";
    INSUFFICIENT_RESOURCES = b"53000";
    DISK_FULL = b"53100";
    OUT_OF_MEMORY = b"53200";
    TOO_MANY_CONNECTIONS = b"53300";
    PROGRAM_LIMIT_EXCEEDED = b"54000";
    STATEMENT_TOO_COMPLEX = b"54001";
    TOO_MANY_COLUMNS = b"54011";
    TOO_MANY_ARGUMENTS = b"54023";
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000";
    OBJECT_IN_USE = b"55006";
    CANT_CHANGE_RUNTIME_PARAM = b"55P02";
    LOCK_NOT_AVAILABLE = b"55P03";
    OPERATOR_INTERVENTION = b"57000";
    QUERY_CANCELED = b"57014";
    ADMIN_SHUTDOWN = b"57P01";
    CANNOT_CONNECT_NOW = b"57P03";
    SYSTEM_ERROR = b"58000";
    IO_ERROR = b"58030";
    INTERNAL_ERROR = b"XX000";
    DATA_CORRUPTED = b"XX001";
    INDEX_CORRUPTED = b"XX002";
}

/// The optional fields of an error report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// CONTEXT ("where").
    pub context: Option<String>,
    /// 1-based character position in the statement text; 0: none.
    pub position: u32,
    /// Schema, table, column, data type and constraint the error is about.
    pub schema: Option<String>,
    /// See `schema`.
    pub table: Option<String>,
    /// See `schema`.
    pub column: Option<String>,
    /// See `schema`.
    pub data_type: Option<String>,
    /// See `schema`.
    pub constraint: Option<String>,
    /// PostgreSQL's function that reports the error, where drivers tell errors apart by it.
    pub routine: Option<&'static str>,
    /// Which row of the batch that was to be stored. For those who know where it came from; clients do not see it.
    pub row: Option<usize>,
    /// Notices that were given before the statement failed.
    pub earlier: Vec<SqlError>,
}

/// An error report as a client sees it. Two words wide, so that `Result`s stay small.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlError(Box<Report>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    state: SqlState,
    message: Cow<'static, str>,
    fields: Fields,
}

impl SqlError {
    /// An error with PostgreSQL's code and wording.
    pub fn new(state: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Report { state, message: message.into(), fields: Fields::default() }))
    }
    /// 0A000, naming the construct: `"X is not supported"`.
    pub fn unsupported(construct: impl fmt::Display) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, alloc::format!("{construct} is not supported"))
    }
    /// XX000: a broken invariant of ours.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, message)
    }
    /// 42601.
    pub fn syntax(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::SYNTAX_ERROR, message)
    }
    /// The code.
    pub fn state(&self) -> SqlState {
        self.0.state
    }
    /// The primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// The optional fields.
    pub fn fields(&self) -> &Fields {
        &self.0.fields
    }
    /// The optional fields, to fill in.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.0.fields
    }
    /// Adds DETAIL.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.0.fields.detail = Some(text.into());
        self
    }
    /// Adds HINT.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.0.fields.hint = Some(text.into());
        self
    }
    /// Puts the names of user types where only their numbers were known ([`crate::typeinfo::display`]).
    pub fn name_types(&mut self, name: &dyn Fn(crate::oid::Oid) -> Option<String>) {
        let report = &mut *self.0;
        if let Some(named) = crate::user::name_in(&report.message, name) {
            report.message = named.into();
        }
        for text in [&mut report.fields.detail, &mut report.fields.hint, &mut report.fields.context] {
            if let Some(named) = text.as_ref().and_then(|t| crate::user::name_in(t, name)) {
                *text = Some(named);
            }
        }
    }
    /// Sets the 1-based character position unless one is set already.
    #[must_use]
    pub fn at(mut self, position: u32) -> Self {
        if self.0.fields.position == 0 {
            self.0.fields.position = position;
        }
        self
    }
    /// Names the table.
    #[must_use]
    pub fn table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Self {
        self.0.fields.schema = Some(schema.into());
        self.0.fields.table = Some(table.into());
        self
    }
    /// Names the column.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>) -> Self {
        self.0.fields.column = Some(name.into());
        self
    }
    /// Names the constraint.
    #[must_use]
    pub fn constraint(mut self, name: impl Into<String>) -> Self {
        self.0.fields.constraint = Some(name.into());
        self
    }
    /// Names the function of PostgreSQL that reports this.
    #[must_use]
    pub fn routine(mut self, name: &'static str) -> Self {
        self.0.fields.routine = Some(name);
        self
    }
    /// Tells which row of the batch it is about.
    #[must_use]
    pub fn row(mut self, row: usize) -> Self {
        self.0.fields.row = Some(row);
        self
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.0.state.as_str(), self.0.message, self.0.fields)
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.state.as_str(), self.0.message)
    }
}

impl core::error::Error for SqlError {}
