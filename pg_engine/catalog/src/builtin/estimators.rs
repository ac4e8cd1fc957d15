//! The functions that PostgreSQL's operators estimate selectivity by: rows of `pg_proc` that definitions of operators name.
//! The planner here has its own ways to estimate.

use pg_types::{Oid, oid};

/// Number, name, and whether it is for joins.
const ESTIMATORS: &[(Oid, &str, bool)] = &[
    (101, "eqsel", false),
    (102, "neqsel", false),
    (103, "scalarltsel", false),
    (104, "scalargtsel", false),
    (105, "eqjoinsel", true),
    (106, "neqjoinsel", true),
    (107, "scalarltjoinsel", true),
    (108, "scalargtjoinsel", true),
    (139, "areasel", false),
    (140, "areajoinsel", true),
    (336, "scalarlesel", false),
    (337, "scalargesel", false),
    (386, "scalarlejoinsel", true),
    (398, "scalargejoinsel", true),
    (1300, "positionsel", false),
    (1301, "positionjoinsel", true),
    (1302, "contsel", false),
    (1303, "contjoinsel", true),
    (1814, "iclikesel", false),
    (1815, "icnlikesel", false),
    (1816, "iclikejoinsel", true),
    (1817, "icnlikejoinsel", true),
    (1818, "regexeqsel", false),
    (1819, "likesel", false),
    (1820, "icregexeqsel", false),
    (1821, "regexnesel", false),
    (1822, "nlikesel", false),
    (1823, "icregexnesel", false),
    (1824, "regexeqjoinsel", true),
    (1825, "likejoinsel", true),
    (1826, "icregexeqjoinsel", true),
    (1827, "regexnejoinsel", true),
    (1828, "nlikejoinsel", true),
    (1829, "icregexnejoinsel", true),
    (3169, "rangesel", false),
    (3437, "prefixsel", false),
    (3438, "prefixjoinsel", true),
    (3560, "networksel", false),
    (3561, "networkjoinsel", true),
    (3686, "tsmatchsel", false),
    (3687, "tsmatchjoinsel", true),
    (3817, "arraycontsel", false),
    (3818, "arraycontjoinsel", true),
    (4243, "multirangesel", false),
    (5040, "matchingsel", false),
    (5041, "matchingjoinsel", true),
];

/// Arguments of one for joins, or of one for conditions.
fn arguments(join: bool) -> &'static [Oid] {
    const JOIN: [Oid; 5] = [oid::INTERNAL, oid::OID, oid::INTERNAL, oid::INT2, oid::INTERNAL];
    const RESTRICTION: [Oid; 4] = [oid::INTERNAL, oid::OID, oid::INTERNAL, oid::INT4];
    if join { &JOIN } else { &RESTRICTION }
}

/// All of them: number, name, types of arguments.
pub fn all() -> impl Iterator<Item = (Oid, &'static str, &'static [Oid])> {
    ESTIMATORS.iter().map(|(o, name, join)| (*o, *name, arguments(*join)))
}

/// The one of a name that takes these types.
pub fn find(name: &str, types: &[Oid]) -> Option<Oid> {
    all().find(|e| e.1 == name && e.2 == types).map(|e| e.0)
}
