//! Types that users make: enums, composite types, domains, and arrays of them.
//!
//! # What a number says
//! Type numbers from [`FIRST`] on are given to user types only, and tell their class by themselves: bits 1 and 2 are the
//! [`Class`], bit 0 is set for the array over the type whose number is one less. So every question that needs the
//! class alone ([`crate::typeinfo`], [`crate::vector::Physical::of`], overload resolution) is answered without a catalog. What
//! else there is to know, names and labels, is asked through [`Types`].
//!
//! # Values
//! * An enum's value is its label's *place*, an int8 that sorts as the labels do and stays the same for as long as the label
//!   exists: a new label gets a place between its neighbours'. Rows, index keys and comparisons know nothing else.
//! * A composite value is a [`crate::value::RecordValue`] whose types are those of the fields.
//! * A domain's value is its base type's: plans and rows never have a domain as a type.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{fmt, ops::Range};

use crate::{
    error::{Result, SqlError, SqlState},
    oid::{self, Oid, SqlType},
};

/// The lowest number of a user type.
pub const FIRST: Oid = 0x4000_0000;
/// The first number above user types.
const END: Oid = 0x8000_0000;
/// Numbers that one type takes.
const STEP: Oid = 8;
/// Places of the labels of a new enum are so far apart.
pub const LABEL_STEP: i64 = 1 << 40;

/// What a user type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Labels in an order.
    Enum,
    /// Named fields; a table's row type is one too.
    Composite,
    /// A type with constraints.
    Domain,
}

/// Is it the number of a user type (or of an array over one)?
pub const fn is_user(ty: Oid) -> bool {
    ty >= FIRST && ty < END
}

/// True for arrays over user types.
pub const fn is_array(ty: Oid) -> bool {
    is_user(ty) && ty & 1 == 1
}

/// The class of a user type that is no array.
pub const fn class(ty: Oid) -> Option<Class> {
    if !is_user(ty) || ty & 1 == 1 {
        return None;
    }
    match ty >> 1 & 3 {
        0 => Some(Class::Enum),
        1 => Some(Class::Composite),
        2 => Some(Class::Domain),
        _ => None,
    }
}

/// True for enums.
pub const fn is_enum(ty: Oid) -> bool {
    matches!(class(ty), Some(Class::Enum))
}

/// True for composite types.
pub const fn is_composite(ty: Oid) -> bool {
    matches!(class(ty), Some(Class::Composite))
}

/// True for domains.
pub const fn is_domain(ty: Oid) -> bool {
    matches!(class(ty), Some(Class::Domain))
}

/// The number of a new type, made of a number that no other object has; its array's is one more. `None`: out of numbers.
pub fn number(unique: Oid, class: Class) -> Option<Oid> {
    let code = match class {
        Class::Enum => 0,
        Class::Composite => 2,
        Class::Domain => 4,
    };
    let ty = unique.checked_mul(STEP)?.checked_add(FIRST)?.checked_add(code)?;
    is_user(ty).then_some(ty)
}

/// A label of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What values of it are.
    pub place: i64,
    /// Its text.
    pub text: Box<str>,
    /// False while the transaction that added it to an older type runs.
    pub usable: bool,
}

/// A field of a composite type.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type as declared.
    pub ty: SqlType,
    /// What its values are: the base type of a domain.
    pub plain: SqlType,
    /// `attnum`.
    pub attnum: i16,
}

/// A constraint of a domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainCheck {
    /// Its name.
    pub name: String,
    /// Canonical text of the condition; `value` is the value.
    pub condition: String,
}

/// What a domain is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The type that it is declared over, perhaps a domain.
    pub over: SqlType,
    /// The type of its values, no domain.
    pub base: SqlType,
    /// NOT NULL.
    pub not_null: bool,
    /// Canonical text of the default.
    pub default: Option<String>,
    /// CHECK constraints in the order of their names.
    pub checks: Vec<DomainCheck>,
}

/// What the catalogs say about a user type.
#[derive(Clone, Debug, PartialEq)]
pub struct UserType {
    /// `pg_type.oid`.
    pub oid: Oid,
    /// `pg_type.typname`.
    pub name: String,
    /// A table's row type: the composite type that the table is of; 0: of none.
    pub of: Oid,
    /// The rest.
    pub kind: Kind,
}

/// See [`UserType`].
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// By ascending place.
    Enum(Vec<Label>),
    /// The fields that are not dropped, in order.
    Composite(Vec<Field>),
    /// A domain.
    Domain(Domain),
}

impl UserType {
    /// The labels; none if it is no enum.
    pub fn labels(&self) -> &[Label] {
        match &self.kind {
            Kind::Enum(labels) => labels,
            _ => &[],
        }
    }
    /// The fields; none if it is not composite.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Composite(fields) => fields,
            _ => &[],
        }
    }
    /// What it is as a domain.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.kind {
            Kind::Domain(d) => Some(d),
            _ => None,
        }
    }
    /// The label with a place.
    pub fn label_at(&self, place: i64) -> Option<&Label> {
        let labels = self.labels();
        labels.binary_search_by_key(&place, |l| l.place).ok().and_then(|i| labels.get(i))
    }
    /// The place of the label with this text.
    pub fn place_of(&self, text: &str) -> Result<i64> {
        if let Some(label) = text.strip_prefix(REFERENCE).and_then(|t| self.label_at(t.parse().ok()?)) {
            return Ok(label.place);
        }
        let found = self.labels().iter().find(|l| *l.text == *text).ok_or_else(|| {
            let message = format!("invalid input value for enum {}: \"{text}\"", self.name);
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        })?;
        self.usable(found)
    }
    /// The place of a label that may be used already.
    pub fn usable(&self, label: &Label) -> Result<i64> {
        if label.usable {
            return Ok(label.place);
        }
        let message = format!("unsafe use of new value \"{}\" of enum type {}", label.text, self.name);
        Err(SqlError::new(SqlState::UNSAFE_NEW_ENUM_VALUE_USAGE, message)
            .hint("New enum values must be committed before they can be used."))
    }
}

/// Who knows about user types.
pub trait Source: Send + Sync {
    /// What there is to know about one, as the running statement sees it.
    fn user_type(&self, oid: Oid) -> Result<Option<Arc<UserType>>>;
}

/// A way to ask about user types; by default nobody knows of any.
#[derive(Clone, Default)]
pub struct Types(Option<Arc<dyn Source>>);

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Types" } else { "NoTypes" })
    }
}

impl Types {
    /// Asks this source.
    pub fn new(source: Arc<dyn Source>) -> Self {
        Self(Some(source))
    }
    /// What there is to know about a type. XX000 when it is gone.
    pub fn get(&self, oid: Oid) -> Result<Arc<UserType>> {
        let found = match &self.0 {
            Some(source) => source.user_type(oid)?,
            None => None,
        };
        found.ok_or_else(|| SqlError::internal(format!("cache lookup failed for type {oid}")))
    }
    /// Appends the text of an enum's value. One whose label is not found is written as its place.
    pub(crate) fn write_label(&self, ty: Oid, place: i64, out: &mut Vec<u8>) {
        let found = self.get(ty).ok();
        match found.as_ref().and_then(|t| t.label_at(place)) {
            Some(label) => out.extend_from_slice(label.text.as_bytes()),
            None => out.extend_from_slice(itoa::Buffer::new().format(place).as_bytes()),
        }
    }
}

/// Between these stands the number of a type whose name a message is to have. SQL text has no NUL.
const MARK: char = '\0';

/// A user type in a message, until [`name_in`] puts its name there.
pub(crate) fn mark(ty: Oid) -> String {
    format!("{MARK}{ty}{MARK}")
}

/// Puts the names of types in the place of marks.
pub(crate) fn name_in(text: &str, name: &dyn Fn(Oid) -> Option<String>) -> Option<String> {
    if !text.contains(MARK) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (i, part) in text.split(MARK).enumerate() {
        match part.parse::<Oid>() {
            Ok(ty) if i % 2 == 1 => out.push_str(&name(ty).unwrap_or_else(|| String::from("???"))),
            _ => out.push_str(part),
        }
    }
    Some(out)
}

/// Begins a type's name that is its number: how stored expressions name user types, so that they follow them when these are
/// renamed or moved.
const REFERENCE: char = '\u{e000}';
/// Follows it where the number is a collation's.
const COLLATION: char = 'c';

/// The name by which a stored expression means a user type.
pub fn reference(ty: Oid) -> String {
    let array = if is_array(ty) { "[]" } else { "" };
    format!("\"{REFERENCE}{}\"{array}", ty & !1)
}

/// The text by which a stored expression means a label of an enum: labels may be renamed.
pub fn label_reference(ty: Oid, place: i64) -> String {
    format!("'{REFERENCE}{place}'::{}", reference(ty))
}

/// The type that such a name, without its quotes, means.
pub fn referred(name: &str) -> Option<Oid> {
    name.strip_prefix(REFERENCE)?.parse().ok().filter(|ty| is_user(*ty))
}

/// The name by which a stored expression means a function of a user.
pub fn routine_reference(routine: Oid) -> String {
    format!("\"{REFERENCE}{routine}\"")
}

/// The function of a user that such a name, without its quotes, means.
pub fn referred_routine(name: &str) -> Option<Oid> {
    name.strip_prefix(REFERENCE)?.parse().ok().filter(|oid| !is_user(*oid))
}

/// The name by which a stored expression means a collation of a user.
pub fn collation_reference(collation: Oid) -> String {
    format!("\"{REFERENCE}{COLLATION}{collation}\"")
}

/// The collation of a user that such a name, without its quotes, means.
pub fn referred_collation(name: &str) -> Option<Oid> {
    name.strip_prefix(REFERENCE)?.strip_prefix(COLLATION)?.parse().ok()
}

/// The collations that a stored text names by number.
pub fn collations(text: &str) -> impl Iterator<Item = Oid> + '_ {
    text.split('"').filter_map(referred_collation)
}

/// Calls `f` for every type and function that a stored text names by number.
pub fn for_each_reference(text: &str, f: &mut dyn FnMut(Oid)) {
    for (at, _) in text.match_indices(REFERENCE) {
        let quoted = text.get(..at).is_some_and(|t| t.ends_with('"'));
        let rest = text.get(at + REFERENCE.len_utf8()..).unwrap_or("");
        if quoted
            && let Some((number, _)) = rest.split_once('"')
            && let Ok(oid) = number.parse()
        {
            f(oid);
        }
    }
}

/// Puts the names of types and the text of labels, quoted, in the place of references.
pub fn name_references(
    text: &str,
    name: &dyn Fn(Oid) -> String,
    label: &dyn Fn(Oid, i64) -> String,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(REFERENCE) {
        // The quote before it is replaced too.
        let quote = before.chars().next_back();
        let (Some(quote @ ('"' | '\'')), Some(kept)) = (quote, before.get(..before.len() - 1)) else {
            out.push_str(before);
            rest = after;
            continue;
        };
        out.push_str(kept);
        let Some((number, tail)) = after.split_once(quote) else {
            out.push_str(after);
            return out;
        };
        if quote == '"' {
            let number = number.strip_prefix(COLLATION).unwrap_or(number);
            out.push_str(&number.parse().map_or_else(|_| String::from(number), name));
        } else {
            // Its type follows at once: `'place'::"type"`.
            let ty = tail.strip_prefix("::\"").and_then(|t| t.strip_prefix(REFERENCE));
            let ty = ty.and_then(|t| t.split_once('"')).and_then(|t| t.0.parse().ok());
            match (ty, number.parse()) {
                (Some(ty), Ok(place)) => out.push_str(&label(ty, place)),
                _ => out.push_str(number),
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Types whose values mean objects of the catalogs, under the names that stored texts have for them.
const OBJECT_TYPES: [(&str, Oid); 11] = [
    ("regclass", oid::REGCLASS),
    ("regtype", oid::REGTYPE),
    ("regproc", oid::REGPROC),
    ("regprocedure", oid::REGPROCEDURE),
    ("regoper", oid::REGOPER),
    ("regoperator", oid::REGOPERATOR),
    ("regrole", oid::REGROLE),
    ("regnamespace", oid::REGNAMESPACE),
    ("regcollation", oid::REGCOLLATION),
    ("regconfig", oid::REGCONFIG),
    ("regdictionary", oid::REGDICTIONARY),
];

/// Does a value of this type mean an object of the catalogs?
pub fn is_object_type(ty: Oid) -> bool {
    OBJECT_TYPES.iter().any(|t| t.1 == ty)
}

/// Constants of a stored text that mean objects by their numbers, so that the text follows these when they are renamed:
/// `'number'::regclass` and the like. Where the literal is, its type, the object.
pub fn objects(text: &str) -> impl Iterator<Item = (Range<usize>, Oid, Oid)> + '_ {
    text.match_indices("'::reg").filter_map(move |(end, _)| {
        let word = text.get(end + 3..)?;
        let after = word.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(word.len());
        let ty = OBJECT_TYPES.iter().find(|t| Some(t.0) == word.get(..after))?.1;
        let start = text.get(..end)?.rfind('\'')?;
        let number = text.get(start + 1..end)?;
        // Within a literal its quotes are doubled.
        let apart = !text.get(..start)?.ends_with('\'');
        let plain = apart && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| number.parse().ok()).flatten().map(|oid| (start..end + 1, ty, oid))
    })
}

/// Puts the names of objects in the place of their numbers; `name` takes the type and the number.
pub fn name_objects(text: &str, name: &dyn Fn(Oid, Oid) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (place, ty, oid) in objects(text) {
        if let Some(name) = name(ty, oid) {
            out.push_str(text.get(done..place.start).unwrap_or(""));
            out.push_str(&format!("'{}'", name.replace('\'', "''")));
            done = place.end;
        }
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}

/// Descriptions gathered beforehand.
#[derive(Debug, Default)]
pub struct Gathered(pub Vec<Arc<UserType>>);

impl Source for Gathered {
    fn user_type(&self, oid: Oid) -> Result<Option<Arc<UserType>>> {
        Ok(self.0.iter().find(|t| t.oid == oid).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_what_a_type_is() {
        let ty = number(16_385, Class::Domain).unwrap();
        assert_eq!(class(ty), Some(Class::Domain));
        assert!(!is_array(ty) && is_array(ty + 1) && class(ty + 1).is_none());
        assert!(is_enum(number(16_386, Class::Enum).unwrap()));
        assert!(is_composite(number(u32::MAX >> 6, Class::Composite).unwrap()));
        assert_eq!(number(u32::MAX >> 3, Class::Enum), None);
        assert_eq!(class(crate::oid::INT4), None);
    }

    #[test]
    fn references_become_names() {
        let text = format!("({} = ANY (x::{}))", label_reference(FIRST, -7), reference(FIRST + 1));
        assert_eq!(referred(reference(FIRST).trim_matches('"')), Some(FIRST));
        let label = |ty: Oid, place: i64| format!("'{}'", i64::from(ty - FIRST) + place);
        let named = name_references(&text, &|_| String::from("mood"), &label);
        assert_eq!(named, "('-7'::mood = ANY (x::mood[]))");
        assert_eq!(name_references("'\u{e000}", &|_| String::new(), &label), "");
    }

    #[test]
    fn numbers_of_objects_become_names() {
        let text =
            "nextval('16384'::regclass) || '12''7''::regclass'::text || '7'::regtype[] || 'a'::regclass";
        let name = |ty: Oid, o: Oid| (ty == oid::REGCLASS).then(|| format!("s'{o}"));
        let named =
            "nextval('s''16384'::regclass) || '12''7''::regclass'::text || '7'::regtype[] || 'a'::regclass";
        assert_eq!(name_objects(text, &name), named);
        assert!(objects(text).map(|o| o.2).eq([16_384, 7]));
    }

    #[test]
    fn marks_become_names() {
        let text = format!("{} and {}[]", mark(FIRST), mark(FIRST + 8));
        let name = |ty: Oid| (ty == FIRST).then(|| String::from("mood"));
        assert_eq!(name_in(&text, &name).unwrap(), "mood and ???[]");
        assert_eq!(name_in("plain", &name), None);
    }
}
