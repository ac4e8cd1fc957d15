//! COMMENT ON what has a row of a catalog by name: languages, access methods, policies, operator classes, ...

use alloc::string::String;

use pg_catalog::builtin::*;
use pg_plan::utility::{Comment, Named, ObjectKind, ObjectName, Utility};

use super::{Cursor, Parsed, Statement, ddl::ready};

/// Kinds of object that one name tells.
const NAMED: &[(&[&str], Named)] = &[
    (&["language"], Named::new(PG_LANGUAGE, "lan", "language")),
    (&["procedural", "language"], Named::new(PG_LANGUAGE, "lan", "language")),
    (&["tablespace"], Named::new(PG_TABLESPACE, "spc", "tablespace")),
    (&["access", "method"], Named::new(PG_AM, "am", "access method")),
    (&["event", "trigger"], Named::new(3466, "evt", "event trigger")),
    (&["foreign", "data", "wrapper"], Named::new(2328, "fdw", "foreign-data wrapper")),
    (&["server"], Named::new(1417, "srv", "server")),
    (&["publication"], Named::new(6104, "pub", "publication")),
    (&["subscription"], Named::new(6100, "sub", "subscription")),
    (&["text", "search", "configuration"], Named::new(3602, "cfg", "text search configuration")),
    (&["text", "search", "dictionary"], Named::new(3600, "dict", "text search dictionary")),
    (&["text", "search", "parser"], Named::new(3601, "prs", "text search parser")),
    (&["text", "search", "template"], Named::new(3764, "tmpl", "text search template")),
    (&["conversion"], Named::new(2607, "con", "conversion")),
];

/// Parts of a relation that have names of their own.
const PARTS: &[(&str, Named)] = &[
    ("policy", Named { of: "polrelid", ..Named::new(PG_POLICY, "pol", "policy") }),
    ("rule", Named { of: "ev_class", name: "rulename", ..Named::new(PG_REWRITE, "rule", "rule") }),
    ("trigger", Named { of: "tgrelid", ..Named::new(2620, "tg", "trigger") }),
];

/// What an access method has.
const METHODS: &[(&str, Named)] = &[
    ("class", Named { of: "opcmethod", ..Named::new(PG_OPCLASS, "opc", "operator class") }),
    ("family", Named { of: "opfmethod", ..Named::new(PG_OPFAMILY, "opf", "operator family") }),
];

/// What follows COMMENT ON, if it is one of these.
pub(super) fn named(c: &mut Cursor<'_>) -> Parsed<Option<Statement>> {
    let (kind, name, part) = if let Some((_, named)) = NAMED.iter().find(|n| c.accept_all(n.0)) {
        (ObjectKind::Named(named), c.name()?.name, None)
    } else if let Some((_, named)) = PARTS.iter().find(|n| c.accept(n.0)) {
        let part = c.ident()?;
        c.expect("on")?;
        (ObjectKind::PartOf(named), c.name()?.name, Some(part))
    } else if let Some((_, named)) = METHODS.iter().find(|n| c.accept_all(&["operator", n.0])) {
        let name = c.name()?.name;
        c.expect("using")?;
        (ObjectKind::OfMethod(named), name, Some(c.ident()?))
    } else {
        return Ok(None);
    };
    done(c, kind, name, part).map(Some)
}

/// IS, and the text.
pub(super) fn done(
    c: &mut Cursor<'_>,
    kind: ObjectKind,
    name: ObjectName,
    part: Option<String>,
) -> Parsed<Statement> {
    c.expect("is")?;
    let text = if c.accept("null") { None } else { Some(c.string()?) };
    Ok(ready(Utility::Comment(Comment { kind, name, part, text }), "COMMENT"))
}
