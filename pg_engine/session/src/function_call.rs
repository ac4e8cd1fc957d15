//! The protocol's function calls, by which libpq and drivers reach large objects: a query that calls the function, whose one
//! value is the answer.

use alloc::{format, string::String, vec::Vec};

use pg_types::{Result, SqlError, SqlState};
use pg_wire::{
    Encoder,
    frontend::{Bind, FunctionCall, Target, U32List},
};

use crate::{connection::Step, session::Session};

/// The name of statement and portal meanwhile. No client can send it.
const NAME: &str = "\0call";

/// The first column of the first row among messages.
fn first_value(messages: &[u8]) -> Option<Option<&[u8]>> {
    let mut rest = messages;
    loop {
        let (tag, length) = (rest.first()?, rest.get(1..5)?);
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let body = rest.get(5..1 + length)?;
        if *tag == b'D' {
            let size = i32::from_be_bytes(body.get(2..6)?.try_into().ok()?);
            let Ok(size) = usize::try_from(size) else { return Some(None) };
            return body.get(6..6 + size).map(Some);
        }
        rest = rest.get(1 + length..)?;
    }
}

impl Session {
    /// Answers a function call.
    pub(crate) fn function_call(&mut self, call: &FunctionCall<'_>, out: &mut Encoder) -> Result<Step> {
        let mut said = Encoder::new();
        said.set_encoding(out.encoding());
        let done = self.call_as_query(call, &mut said);
        self.close(Target::Portal(NAME));
        self.close(Target::Statement(NAME));
        match done.map(|()| first_value(said.bytes())) {
            Ok(Some(value)) => out.function_result(value),
            Ok(None) => {
                self.extended_failed(SqlError::internal("a function call without a value"), out)?;
            }
            Err(e) => {
                self.extended_failed(e, out)?;
            }
        }
        self.sync(out)
    }

    fn call_as_query(&mut self, call: &FunctionCall<'_>, said: &mut Encoder) -> Result<()> {
        let Some(f) = pg_functions::registry().function(call.function) else {
            let text = format!("function with OID {} does not exist", call.function);
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text));
        };
        if call.params.len() != f.args.len() {
            let text = format!(
                "function call message contains {} arguments but function requires {}",
                call.params.len(),
                f.args.len()
            );
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, text));
        }
        let typed = |(n, ty): (usize, &u32)| {
            let name = pg_types::typeinfo::display(pg_types::SqlType::new(*ty));
            format!("${}::{name}", n + 1)
        };
        let args: Vec<String> = f.args.iter().enumerate().map(typed).collect();
        let query = format!("SELECT pg_catalog.\"{}\"({})", f.name, args.join(", "));
        self.parse(NAME, &query, U32List::EMPTY, said)?;
        let bind = Bind {
            portal: NAME,
            statement: NAME,
            formats: call.formats,
            params: call.params,
            result_formats: call.result_format,
        };
        self.bind_portal(&bind, said)?;
        self.execute_portal(NAME, 0, said)
    }
}
