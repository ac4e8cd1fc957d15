//! Access control lists: who may do what with an object, and who granted it.
//!
//! An entry is kept as text with role numbers, `16384=r*w/10` (no number before the sign: everybody), because roles may
//! be renamed; the text that clients read has names. No list stands for the class of object's default.

use alloc::{format, string::String, vec::Vec};

use pg_types::{Oid, Result, SqlError, SqlState, Value, oid};

use crate::{roles::Roles, table};

/// A set of privileges; the bits are PostgreSQL's.
pub type Rights = u16;

/// The privileges.
#[allow(missing_docs, reason = "named as in SQL")]
pub mod right {
    use super::Rights;
    pub const INSERT: Rights = 1;
    pub const SELECT: Rights = 1 << 1;
    pub const UPDATE: Rights = 1 << 2;
    pub const DELETE: Rights = 1 << 3;
    pub const TRUNCATE: Rights = 1 << 4;
    pub const REFERENCES: Rights = 1 << 5;
    pub const TRIGGER: Rights = 1 << 6;
    pub const EXECUTE: Rights = 1 << 7;
    pub const USAGE: Rights = 1 << 8;
    pub const CREATE: Rights = 1 << 9;
    pub const TEMPORARY: Rights = 1 << 10;
    pub const CONNECT: Rights = 1 << 11;
    pub const SET: Rights = 1 << 12;
    pub const ALTER_SYSTEM: Rights = 1 << 13;
}

/// Letter and name of each privilege, in the order of their bits.
pub const RIGHTS: [(char, &str); 14] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

/// A privilege by its name, in any case; TEMP is TEMPORARY.
pub fn right_named(name: &str) -> Option<Rights> {
    if name.eq_ignore_ascii_case("temp") {
        return Some(right::TEMPORARY);
    }
    RIGHTS.iter().position(|r| r.1.eq_ignore_ascii_case(name)).map(|i| 1 << i)
}

/// Kinds of object that have lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum Class {
    Column,
    Table,
    Sequence,
    Database,
    Function,
    Language,
    LargeObject,
    Schema,
    Parameter,
    Tablespace,
    Wrapper,
    Server,
    Type,
}

impl Class {
    /// By the letter that `acldefault` takes.
    pub fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'c' => Self::Column,
            b'r' => Self::Table,
            b's' => Self::Sequence,
            b'd' => Self::Database,
            b'f' => Self::Function,
            b'l' => Self::Language,
            b'L' => Self::LargeObject,
            b'n' => Self::Schema,
            b'p' => Self::Parameter,
            b't' => Self::Tablespace,
            b'F' => Self::Wrapper,
            b'S' => Self::Server,
            b'T' => Self::Type,
            _ => return None,
        })
    }
    /// Every privilege that there is on it.
    pub fn all(self) -> Rights {
        use right::*;
        match self {
            Self::Column => INSERT | SELECT | UPDATE | REFERENCES,
            Self::Table => INSERT | SELECT | UPDATE | DELETE | TRUNCATE | REFERENCES | TRIGGER,
            Self::Sequence => SELECT | UPDATE | USAGE,
            Self::Database => CREATE | TEMPORARY | CONNECT,
            Self::Function => EXECUTE,
            Self::Language | Self::Type | Self::Wrapper | Self::Server => USAGE,
            Self::LargeObject => SELECT | UPDATE,
            Self::Schema => USAGE | CREATE,
            Self::Parameter => SET | ALTER_SYSTEM,
            Self::Tablespace => CREATE,
        }
    }
    /// What everybody has by default.
    fn of_everybody(self) -> Rights {
        match self {
            Self::Database => right::TEMPORARY | right::CONNECT,
            Self::Function => right::EXECUTE,
            Self::Language | Self::Type => right::USAGE,
            _ => 0,
        }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclItem {
    /// To whom; 0: everybody.
    pub grantee: Oid,
    /// By whom.
    pub grantor: Oid,
    /// What.
    pub rights: Rights,
    /// What of it may be granted on.
    pub options: Rights,
}

impl AclItem {
    /// The letters of its privileges.
    pub fn letters(&self) -> String {
        let mut out = String::new();
        for (i, (letter, _)) in RIGHTS.iter().enumerate() {
            if self.rights & (1 << i) != 0 {
                out.push(*letter);
                if self.options & (1 << i) != 0 {
                    out.push('*');
                }
            } else if self.options & (1 << i) != 0 {
                // Cannot be granted, but can be made by hand.
                out.push(*letter);
                out.push('*');
            }
        }
        out
    }
    /// As it is kept.
    pub fn to_text(&self) -> String {
        match self.grantee {
            0 => format!("={}/{}", self.letters(), self.grantor),
            grantee => format!("{grantee}={}/{}", self.letters(), self.grantor),
        }
    }
    /// Reads what [`Self::to_text`] made.
    pub fn of_text(text: &str) -> Option<Self> {
        let (grantee, rest) = text.split_once('=')?;
        let (letters, grantor) = rest.split_once('/')?;
        let (rights, options) = Self::read_letters(letters).ok()?;
        let grantee = if grantee.is_empty() { 0 } else { grantee.parse().ok()? };
        Some(Self { grantee, grantor: grantor.parse().ok()?, rights, options })
    }
    /// Privileges and grant options by their letters; the letter that is none.
    pub fn read_letters(letters: &str) -> core::result::Result<(Rights, Rights), char> {
        let (mut rights, mut options, mut last) = (0, 0, 0);
        for c in letters.chars() {
            if c == '*' {
                options |= last;
                continue;
            }
            last = 1 << RIGHTS.iter().position(|r| r.0 == c).ok_or(c)?;
            rights |= last;
        }
        Ok((rights, options))
    }
}

fn invalid_grant(message: &'static str) -> SqlError {
    SqlError::new(SqlState(*b"0LP01"), message)
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl(pub Vec<AclItem>);

/// How deep grants of grants are followed.
const MAX_CHAIN: u32 = 256;

impl Acl {
    /// What an object has of which nobody has said anything.
    pub fn default_of(class: Class, owner: Oid) -> Self {
        let mut items = Vec::new();
        let everybody = class.of_everybody();
        if everybody != 0 {
            items.push(AclItem { grantee: 0, grantor: owner, rights: everybody, options: 0 });
        }
        if class != Class::Column {
            items.push(AclItem { grantee: owner, grantor: owner, rights: class.all(), options: 0 });
        }
        Self(items)
    }
    /// From a catalog's column; `None`: NULL.
    pub fn of_value(value: &Value) -> Option<Self> {
        let Value::Array(a) = value else { return None };
        let item = |v: &Value| if let Value::Text(t) = v { AclItem::of_text(t) } else { None };
        Some(Self(a.values.iter().filter_map(item).collect()))
    }
    /// For a catalog's column.
    pub fn to_value(&self) -> Value {
        table::array(oid::ACLITEM, self.0.iter().map(|i| Value::Text(i.to_text().into())).collect())
    }

    /// Those of the privileges in `mask` that the role has; the owner has them by the list only.
    pub fn rights_of(&self, role: Oid, mask: Rights, roles: &Roles) -> Rights {
        let mine = self.0.iter().filter(|i| i.rights & mask != 0 && self.concerns(i, role, roles));
        mine.fold(0, |all, i| all | i.rights) & mask
    }
    /// Those of the privileges in `mask` that the role may grant.
    pub fn options_of(&self, role: Oid, owner: Oid, mask: Rights, roles: &Roles) -> Rights {
        if roles.has_rights_of(role, owner) {
            return mask;
        }
        let mine = self.0.iter().filter(|i| i.options & mask != 0 && self.concerns(i, role, roles));
        mine.fold(0, |all, i| all | i.options) & mask
    }
    fn concerns(&self, item: &AclItem, role: Oid, roles: &Roles) -> bool {
        item.grantee == 0 || roles.has_rights_of(role, item.grantee)
    }
    /// What was granted to exactly this role with the right to grant it on.
    fn own_options(&self, role: Oid, owner: Oid, mask: Rights) -> Rights {
        if role == owner {
            return mask;
        }
        self.0.iter().filter(|i| i.grantee == role).fold(0, |all, i| all | i.options) & mask
    }

    /// In whose name a role grants: itself, the owner or a role it belongs to; and which of the privileges that one may
    /// grant.
    pub fn best_grantor(&self, role: Oid, owner: Oid, wanted: Rights, roles: &Roles) -> (Oid, Rights) {
        if role == owner || roles.has_rights_of(role, owner) {
            return (owner, wanted);
        }
        let (mut best, mut options) = (role, 0u16);
        for other in roles.acts_as(role) {
            let theirs = self.own_options(other, owner, wanted);
            if theirs == wanted {
                return (other, theirs);
            }
            if theirs.count_ones() > options.count_ones() {
                (best, options) = (other, theirs);
            }
        }
        (best, options)
    }

    /// GRANT.
    pub fn grant(&mut self, item: AclItem, owner: Oid) -> Result<()> {
        if item.grantee == 0 && item.options != 0 {
            return Err(invalid_grant("grant options can only be granted to roles"));
        }
        if item.options != 0 {
            self.refuse_circle(&item, owner)?;
        }
        match self.find(&item) {
            Some(old) => {
                old.rights |= item.rights;
                old.options |= item.options;
            }
            None if item.rights | item.options != 0 => self.0.push(item),
            None => {}
        }
        Ok(())
    }
    fn find(&mut self, item: &AclItem) -> Option<&mut AclItem> {
        self.0.iter_mut().find(|i| i.grantee == item.grantee && i.grantor == item.grantor)
    }
    /// A grant option must not come back to whom it came from.
    fn refuse_circle(&self, item: &AclItem, owner: Oid) -> Result<()> {
        if item.grantor == owner {
            return Ok(());
        }
        let mut without = self.clone();
        while let Some(held) = without.0.iter().find(|i| i.grantee == item.grantee && i.options != 0).copied()
        {
            without.revoke(AclItem { rights: 0, ..held }, owner, true)?;
        }
        if without.own_options(item.grantor, owner, item.options) != item.options {
            return Err(invalid_grant("grant options cannot be granted back to your own grantor"));
        }
        Ok(())
    }
    /// REVOKE; with `cascade` also what was granted on.
    pub fn revoke(&mut self, item: AclItem, owner: Oid, cascade: bool) -> Result<()> {
        self.revoke_chain(item, owner, cascade, 0)
    }
    fn revoke_chain(&mut self, item: AclItem, owner: Oid, cascade: bool, depth: u32) -> Result<()> {
        let Some(old) = self.find(&item) else { return Ok(()) };
        let lost = old.options & item.options;
        old.rights &= !item.rights;
        old.options &= !item.options;
        self.0.retain(|i| i.rights | i.options != 0);
        if lost == 0 || item.grantee == owner {
            return Ok(());
        }
        let lost = lost & !self.own_options(item.grantee, owner, lost);
        if depth >= MAX_CHAIN {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "the chain of grants is too long"));
        }
        while let Some(next) =
            self.0.iter().find(|i| i.grantor == item.grantee && (i.rights | i.options) & lost != 0).copied()
        {
            if !cascade {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    "dependent privileges exist",
                )
                .hint("Use CASCADE to revoke them too."));
            }
            self.revoke_chain(AclItem { rights: lost, options: lost, ..next }, owner, true, depth + 1)?;
        }
        Ok(())
    }
    /// The object changed hands: what was the old owner's is the new one's.
    pub fn change_owner(&mut self, old: Oid, new: Oid) {
        let mut merged: Vec<AclItem> = Vec::new();
        for mut item in self.0.drain(..) {
            for role in [&mut item.grantee, &mut item.grantor] {
                if *role == old {
                    *role = new;
                }
            }
            match merged.iter_mut().find(|i| i.grantee == item.grantee && i.grantor == item.grantor) {
                Some(same) => {
                    same.rights |= item.rights;
                    same.options |= item.options;
                }
                None => merged.push(item),
            }
        }
        self.0 = merged;
    }
    /// Does the list name the role?
    pub fn names(&self, role: Oid) -> bool {
        self.0.iter().any(|i| i.grantee == role || i.grantor == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(grantee: Oid, grantor: Oid, rights: Rights, options: Rights) -> AclItem {
        AclItem { grantee, grantor, rights, options }
    }

    #[test]
    fn text_is_read_back() {
        let i = item(16384, 10, right::SELECT | right::INSERT, right::SELECT);
        assert_eq!(i.to_text(), "16384=ar*/10");
        assert_eq!(AclItem::of_text("16384=ar*/10"), Some(i));
        assert_eq!(AclItem::of_text("=r/10").map(|i| i.grantee), Some(0));
        for bad in ["", "=", "=r", "x=r/10", "=q/10", "=r/y"] {
            assert_eq!(AclItem::of_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn revoking_an_option_takes_what_was_granted_by_it() {
        let mut acl = Acl::default_of(Class::Table, 10);
        acl.grant(item(20, 10, right::SELECT, right::SELECT), 10).unwrap();
        acl.grant(item(30, 20, right::SELECT, 0), 10).unwrap();
        let back = item(20, 10, right::SELECT, right::SELECT);
        let refused = acl.clone().revoke(back, 10, false).unwrap_err();
        assert_eq!(refused.state(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
        acl.revoke(back, 10, true).unwrap();
        assert_eq!(acl, Acl::default_of(Class::Table, 10));
    }

    #[test]
    fn options_do_not_go_in_circles() {
        let mut acl = Acl::default_of(Class::Table, 10);
        acl.grant(item(20, 10, right::SELECT, right::SELECT), 10).unwrap();
        acl.grant(item(30, 20, right::SELECT, right::SELECT), 10).unwrap();
        assert!(acl.grant(item(20, 30, right::SELECT, right::SELECT), 10).is_err());
        assert!(acl.grant(item(0, 10, right::SELECT, right::SELECT), 10).is_err());
    }
}
