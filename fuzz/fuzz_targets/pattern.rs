//! Languages inside values (regular expressions, LIKE and SIMILAR TO, templates of `to_char` and `to_date`, names of encodings, units
//! and zones, jsonpath): immutable functions of text and what can be read from text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_functions::{EvalContext, Function, FunctionKind, Host, Implementation, SetReturning, Volatility, registry};
use pg_types::{Oid, Result, SqlError, SqlType, Value, format::FormatSettings, io, oid};

/// What functions that do not look at a session see of it.
struct Nobody(FormatSettings);

impl Host for Nobody {
    fn transaction_timestamp(&self) -> i64 {
        0
    }
    fn statement_timestamp(&self) -> i64 {
        0
    }
    fn clock_timestamp(&self) -> i64 {
        0
    }
    fn format(&self) -> &FormatSettings {
        &self.0
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn random(&self, buf: &mut [u8]) {
        buf.fill(0);
    }
    fn rows(&self, _function: Oid, _args: &[Value]) -> Result<Box<dyn SetReturning>> {
        Err(SqlError::internal("nobody"))
    }
    fn call(&self, _function: Oid, _args: &[Value]) -> Result<Value> {
        Err(SqlError::internal("nobody"))
    }
    fn cancelled(&self) -> bool {
        false
    }
}

/// Memory is what these are for.
const LARGE: [&str; 4] = ["repeat", "lpad", "rpad", "array_fill"];

fn tried(f: &Function) -> bool {
    let readable = |t: &Oid| {
        matches!(
            *t,
            oid::TEXT
                | oid::INT4
                | oid::INT8
                | oid::NUMERIC
                | oid::JSONB
                | oid::JSON
                | oid::JSONPATH
                | oid::BOOL
                | oid::TIMESTAMP
                | oid::TIMESTAMPTZ
                | oid::INTERVAL
                | oid::BYTEA
                | oid::FLOAT8
        )
    };
    f.kind == FunctionKind::Scalar
        && f.volatility != Volatility::Volatile
        && (f.args.contains(&oid::TEXT) || f.args.contains(&oid::JSONPATH))
        && f.args.iter().all(readable)
        && !f.described
        && !f.shaped
        && !LARGE.contains(&f.name)
}

fuzz_target!(|input: (u16, [&str; 4])| {
    let (which, texts) = input;
    let all: Vec<&Function> = registry().functions().iter().copied().filter(|f| tried(f)).collect();
    let Some(f) = all.get(usize::from(which) % all.len().max(1)) else { return };
    if texts.iter().any(|t| t.len() > 400 || t.contains('\0')) {
        return;
    }
    let host = Nobody(FormatSettings::default());
    let ctx = EvalContext { host: &host };
    let value = |(ty, text): (&Oid, &&str)| io::input(SqlType::new(*ty), text, &host.0);
    let Ok(values) = f.args.iter().zip(&texts).map(value).collect::<Result<Vec<Value>>>() else { return };
    let result = SqlType::new(f.result);
    let given = match f.imp {
        Implementation::Row(call) | Implementation::Vector(_, call) => call(&ctx, &values),
        Implementation::RowTyped(call) => call(&ctx, &values, result),
        _ => return,
    };
    if let Ok(value) = given {
        let _ = io::output_string(&value, result, &host.0);
    }
});
