//! Functions that are there by number and name only, for rows of other catalogs to refer to: what types are read and
//! written by, what operators estimate by, what access methods and languages are.

use alloc::vec::Vec;

use hashbrown::HashSet;
use pg_functions::registry;
use pg_types::{
    Oid, oid,
    typeinfo::{self, TypeInfo},
};
use platform::sync::OnceLock;

use super::estimators;

/// One of them.
#[derive(Debug)]
pub struct Support {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// Name, in pg_catalog.
    pub name: &'static str,
    /// Types of the arguments.
    pub args: Vec<Oid>,
    /// Result type.
    pub result: Oid,
}

/// Ends of the names of functions that read and write values.
const IO: [&str; 5] = ["in", "out", "recv", "send", "typmodin"];

/// What of those depends on settings, catalogs or encodings.
const STABLE_IO: [&str; 44] = [
    "aclitemin",
    "aclitemout",
    "anyarray_out",
    "anyarray_recv",
    "anyarray_send",
    "anycompatiblearray_out",
    "anyenum_out",
    "array_in",
    "array_out",
    "array_recv",
    "array_send",
    "bpcharrecv",
    "bpcharsend",
    "cash_in",
    "cash_out",
    "cstring_recv",
    "cstring_send",
    "date_in",
    "date_out",
    "domain_in",
    "domain_recv",
    "enum_in",
    "enum_out",
    "enum_recv",
    "enum_send",
    "interval_in",
    "interval_out",
    "namerecv",
    "namesend",
    "pg_node_tree_recv",
    "pg_node_tree_send",
    "record_in",
    "record_out",
    "record_recv",
    "record_send",
    "textrecv",
    "textsend",
    "time_in",
    "timestamp_in",
    "timestamp_out",
    "timestamptz_in",
    "timestamptz_out",
    "timetz_in",
    "varcharrecv",
];

impl Support {
    /// `pg_proc.provolatile`.
    pub fn volatility(&self) -> u8 {
        // Names of objects are read and written by what there is.
        let named = self.name.starts_with("reg") && (self.name.ends_with("in") || self.name.ends_with("out"));
        let ranges = self.name.contains("range_");
        if named || ranges || STABLE_IO.contains(&self.name) || self.name == "varcharsend" {
            return b's';
        }
        match self.name {
            name if name.ends_with("handler") && !name.ends_with("subscript_handler") => b'v',
            name if name.ends_with("subscript_handler") || name.ends_with("typmodout") => b'i',
            name if IO.iter().any(|end| name.ends_with(end)) => b'i',
            _ => b's',
        }
    }
}

/// Those of types that users make.
const OF_USER_TYPES: [(Oid, &str, &[Oid], Oid); 6] = [
    (2597, "domain_in", &[oid::CSTRING, oid::OID, oid::INT4], oid::ANY),
    (2598, "domain_recv", &[oid::INTERNAL, oid::OID, oid::INT4], oid::ANY),
    (3506, "enum_in", &[oid::CSTRING, oid::OID], oid::ANYENUM),
    (3507, "enum_out", &[oid::ANYENUM], oid::CSTRING),
    (3532, "enum_recv", &[oid::INTERNAL, oid::OID], oid::ANYENUM),
    (3533, "enum_send", &[oid::ANYENUM], oid::BYTEA),
];

/// Those of access methods and languages.
const HANDLERS: [(Oid, &str, Oid, Oid); 6] = [
    (3, "heap_tableam_handler", oid::INTERNAL, 269),
    (330, "bthandler", oid::INTERNAL, 325),
    (331, "hashhandler", oid::INTERNAL, 325),
    (2246, "fmgr_internal_validator", oid::OID, oid::VOID),
    (2247, "fmgr_c_validator", oid::OID, oid::VOID),
    (2248, "fmgr_sql_validator", oid::OID, oid::VOID),
];

/// All of them.
pub fn all() -> &'static [Support] {
    static ALL: OnceLock<Vec<Support>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut known: HashSet<Oid> = registry().functions().iter().map(|f| f.oid).collect();
        let mut list = Vec::new();
        let mut add = |oid, name, args: &[Oid], result| {
            if oid != 0 && known.insert(oid) {
                list.push(Support { oid, name, args: args.to_vec(), result });
            }
        };
        for (oid, name, args) in estimators::all() {
            add(oid, name, args, oid::FLOAT8);
        }
        for (oid, name, args, result) in OF_USER_TYPES {
            add(oid, name, args, result);
        }
        for (oid, name, arg, result) in HANDLERS {
            add(oid, name, &[arg], result);
        }
        for t in typeinfo::all() {
            of_type(t, &mut add);
        }
        list
    })
}

/// Those of a name.
pub fn named(name: &str) -> impl Iterator<Item = &'static Support> {
    all().iter().filter(move |f| f.name == name)
}

fn of_type(t: &TypeInfo, add: &mut impl FnMut(Oid, &'static str, &[Oid], Oid)) {
    let generic = t.kind == b'p' || t.is_array() || t.oid == oid::BIT || t.oid == oid::VARBIT;
    let modified = generic || t.typmod_in.oid != 0;
    let tail: &[Oid] = if modified { &[oid::OID, oid::INT4] } else { &[] };
    let this = if t.is_array() { oid::ANYARRAY } else { t.oid };
    add(t.input.oid, t.input.name, &[&[oid::CSTRING], tail].concat(), this);
    add(t.output.oid, t.output.name, &[this], oid::CSTRING);
    add(t.receive.oid, t.receive.name, &[&[oid::INTERNAL], tail].concat(), this);
    add(t.send.oid, t.send.name, &[this], oid::BYTEA);
    add(t.typmod_in.oid, t.typmod_in.name, &[oid::CSTRING_ARRAY], oid::INT4);
    add(t.typmod_out.oid, t.typmod_out.name, &[oid::INT4], oid::CSTRING);
    add(t.analyze.oid, t.analyze.name, &[oid::INTERNAL], oid::BOOL);
    add(t.subscript.oid, t.subscript.name, &[oid::INTERNAL], oid::INTERNAL);
}
