//! Privileges as clients write them: `name=rwd*/grantor`.

use alloc::{format, string::String};

use pg_types::{Result, SqlError, SqlState};

use crate::{acl::AclItem, builtin::FIRST_ROLE, roles::Roles};

/// A name at the start of a text, in quotes or not, and what follows.
fn name(text: &str) -> (String, &str) {
    let (mut out, mut quotes) = (String::new(), false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if quotes && chars.peek().is_some_and(|n| n.1 == '"') => {
                chars.next();
                out.push('"');
            }
            '"' => quotes = !quotes,
            c if quotes || c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() => out.push(c),
            _ => return (out, text.get(at..).unwrap_or("")),
        }
    }
    (out, "")
}

fn malformed(text: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, String::from(text))
}

/// Reads an aclitem. False: it does not say who granted, which is taken to be the first role.
pub fn read(text: &str, roles: &Roles) -> Result<(AclItem, bool)> {
    let find = |name: &str| {
        roles.find(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
        })
    };
    let (mut grantee, mut rest) = name(text.trim_start());
    if !rest.trim_start().starts_with('=') {
        if grantee != "group" && grantee != "user" {
            return Err(malformed(&format!("unrecognized key word: \"{grantee}\""))
                .hint("ACL key word must be \"group\" or \"user\"."));
        }
        (grantee, rest) = name(rest.trim_start());
        if grantee.is_empty() {
            return Err(
                malformed("missing name").hint("A name must follow the \"group\" or \"user\" key word.")
            );
        }
    }
    let Some(rest) = rest.trim_start().strip_prefix('=') else { return Err(malformed("missing \"=\" sign")) };
    let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '*').unwrap_or(rest.len());
    let (letters, rest) = rest.split_at(end);
    let (rights, options) = AclItem::read_letters(letters)
        .map_err(|_| malformed("invalid mode character: must be one of \"arwdDxtXUCTcsA\""))?;
    let grantee = if grantee.is_empty() { 0 } else { find(&grantee)? };
    let grantor = match rest.strip_prefix('/') {
        Some(rest) => {
            let (grantor, rest) = name(rest);
            if !rest.trim().is_empty() {
                return Err(malformed("extra garbage at the end of the ACL specification"));
            }
            if grantor.is_empty() {
                return Err(malformed("a name must follow the \"/\" sign"));
            }
            find(&grantor)?
        }
        None if !rest.trim().is_empty() => {
            return Err(malformed("extra garbage at the end of the ACL specification"));
        }
        None => {
            return Ok((AclItem { grantee, grantor: FIRST_ROLE, rights, options }, false));
        }
    };
    Ok((AclItem { grantee, grantor, rights, options }, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_quoted() {
        let roles = Roles::only_superuser();
        let (item, named) = read("postgres=r*w/\"postgres\"", &roles).unwrap();
        assert!(named);
        assert_eq!(item.to_text(), "10=r*w/10");
        assert!(!read("=r", &roles).unwrap().1);
        for bad in ["postgres", "nobody=r/postgres", "postgres=q/postgres", "postgres=r/", "=r/postgres x"] {
            assert!(read(bad, &roles).is_err(), "{bad}");
        }
    }
}
