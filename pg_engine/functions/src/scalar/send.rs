//! Types' send functions: a value in binary format, as a client would get it.

use alloc::vec::Vec;

use pg_types::{Oid, Result, Value, io::send, oid::*};

use crate::{
    def::{EvalContext, Function, Implementation},
    table::def,
};

fn sent(ctx: &EvalContext<'_>, args: &[Value], ty: Oid) -> Result<Value> {
    let mut out = Vec::new();
    send(args.first().unwrap_or(&Value::Null), ty, ctx.host.format(), &mut out);
    Ok(Value::Bytea(out.into()))
}

macro_rules! senders {
    ($($oid:literal $name:literal $ty:ident;)*) => {
        &[$(def($oid, $name, &[$ty], BYTEA)
            .imp(Implementation::Row(|ctx, args| sent(ctx, args, $ty))),)*]
    };
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = senders! {
    324 "json_send" JSON;
    2405 "int2send" INT2;
    2407 "int4send" INT4;
    2409 "int8send" INT8;
    2413 "byteasend" BYTEA;
    2415 "textsend" TEXT;
    2419 "oidsend" OID;
    2423 "namesend" NAME;
    2425 "float4send" FLOAT4;
    2427 "float8send" FLOAT8;
    2431 "bpcharsend" BPCHAR;
    2433 "varcharsend" VARCHAR;
    2435 "charsend" CHAR;
    2437 "boolsend" BOOL;
    2439 "tidsend" TID;
    2441 "xidsend" XID;
    2443 "cidsend" CID;
    2457 "bit_send" BIT;
    2459 "varbit_send" VARBIT;
    2461 "numeric_send" NUMERIC;
    2469 "date_send" DATE;
    2471 "time_send" TIME;
    2473 "timetz_send" TIMETZ;
    2475 "timestamp_send" TIMESTAMP;
    2477 "timestamptz_send" TIMESTAMPTZ;
    2479 "interval_send" INTERVAL;
    2493 "cash_send" MONEY;
    2495 "macaddr_send" MACADDR;
    2497 "inet_send" INET;
    2499 "cidr_send" CIDR;
    2962 "uuid_send" UUID;
    3239 "pg_lsn_send" PG_LSN;
    3447 "macaddr8_send" MACADDR8;
    3803 "jsonb_send" JSONB;
    5083 "xid8send" XID8;
};
