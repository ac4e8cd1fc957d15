//! Object identifiers and the identity of built-in types (PostgreSQL's numbers).

/// An object identifier; 0 means none.
pub type Oid = u32;

/// A type with its modifier: `varchar(10)` is `{VARCHAR, 14}`; −1 means no modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SqlType {
    /// `pg_type.oid`.
    pub oid: Oid,
    /// As in `pg_attribute.atttypmod`.
    pub typmod: i32,
}

impl SqlType {
    /// Without modifier.
    pub const fn new(oid: Oid) -> Self {
        Self { oid, typmod: -1 }
    }
    /// With modifier.
    pub const fn with_typmod(oid: Oid, typmod: i32) -> Self {
        Self { oid, typmod }
    }
}

impl From<Oid> for SqlType {
    fn from(oid: Oid) -> Self {
        Self::new(oid)
    }
}

macro_rules! oids {
    ($($name:ident = $oid:literal;)*) => {
        $(#[allow(missing_docs, reason = "pg_type names")] pub const $name: Oid = $oid;)*
    };
}

oids! {
    BOOL = 16; BYTEA = 17; CHAR = 18; NAME = 19; INT8 = 20; INT2 = 21; INT2VECTOR = 22; INT4 = 23; REGPROC = 24;
    TEXT = 25; OID = 26; TID = 27; XID = 28; CID = 29; OIDVECTOR = 30; JSON = 114; PG_NODE_TREE = 194;
    PG_SNAPSHOT = 5038; TXID_SNAPSHOT = 2970; PG_NDISTINCT = 3361; PG_DEPENDENCIES = 3402; PG_MCV_LIST = 5017;
    FLOAT4 = 700; FLOAT8 = 701; UNKNOWN = 705; BPCHAR = 1042; VARCHAR = 1043; DATE = 1082; TIME = 1083;
    TIMESTAMP = 1114; TIMESTAMPTZ = 1184; INTERVAL = 1186; TIMETZ = 1266; BIT = 1560; VARBIT = 1562; NUMERIC = 1700;
    REFCURSOR = 1790; REGPROCEDURE = 2202; REGOPER = 2203; REGOPERATOR = 2204; REGCLASS = 2205; REGTYPE = 2206;
    RECORD = 2249; CSTRING = 2275; ANY = 2276; ANYARRAY = 2277; VOID = 2278; TRIGGER = 2279; INTERNAL = 2281;
    ANYELEMENT = 2283; ANYNONARRAY = 2776; UUID = 2950; ANYENUM = 3500; JSONB = 3802; REGCONFIG = 3734;
    REGDICTIONARY = 3769; ANYRANGE = 3831; REGNAMESPACE = 4089; REGROLE = 4096; REGROLE_ARRAY = 4097; REGNAMESPACE_ARRAY = 4090; REGCOLLATION = 4191; XID8 = 5069;
    ANYCOMPATIBLE = 5077; ANYCOMPATIBLEARRAY = 5078; ANYCOMPATIBLENONARRAY = 5079; ACLITEM = 1033; PG_LSN = 3220;
    POINT = 600; LSEG = 601; PATH = 602; BOX = 603; POLYGON = 604; LINE = 628; CIRCLE = 718;
    MONEY = 790; MACADDR8 = 774; MACADDR = 829; CIDR = 650; INET = 869; JSONPATH = 4072; XML = 142;
    BOOL_ARRAY = 1000; BYTEA_ARRAY = 1001; CHAR_ARRAY = 1002; NAME_ARRAY = 1003; INT2_ARRAY = 1005; INT4_ARRAY = 1007;
    TEXT_ARRAY = 1009; TID_ARRAY = 1010; XID_ARRAY = 1011; BPCHAR_ARRAY = 1014; VARCHAR_ARRAY = 1015; INT8_ARRAY = 1016;
    FLOAT4_ARRAY = 1021; FLOAT8_ARRAY = 1022; OID_ARRAY = 1028; ACLITEM_ARRAY = 1034; TIMESTAMP_ARRAY = 1115;
    DATE_ARRAY = 1182; TIME_ARRAY = 1183; TIMESTAMPTZ_ARRAY = 1185; INTERVAL_ARRAY = 1187; NUMERIC_ARRAY = 1231;
    CSTRING_ARRAY = 1263; TIMETZ_ARRAY = 1270; RECORD_ARRAY = 2287; UUID_ARRAY = 2951; JSON_ARRAY = 199;
    JSONB_ARRAY = 3807; REGCLASS_ARRAY = 2210; REGTYPE_ARRAY = 2211; REGPROC_ARRAY = 1008; PG_LSN_ARRAY = 3221;
    INET_ARRAY = 1041; CIDR_ARRAY = 651; MACADDR_ARRAY = 1040; MACADDR8_ARRAY = 775; BIT_ARRAY = 1561;
    VARBIT_ARRAY = 1563; MONEY_ARRAY = 791; JSONPATH_ARRAY = 4073;
}
