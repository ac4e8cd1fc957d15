//! Conditions.

use alloc::vec::Vec;
use core::cmp::Ordering;

use pg_json::path::{Expr, Operator};

use super::{Fault, Item, Kind, Result, Run, Scope, Truth, datetime, plain};
use crate::pattern::{regex::cached, translate::Options};

impl Run<'_> {
    /// Whether a condition holds.
    pub(super) fn test(&self, e: &Expr, scope: Scope<'_>) -> Result<Truth> {
        match e {
            Expr::Binary(Operator::And, a, b) => match self.test(a, scope)? {
                Truth::False => Ok(Truth::False),
                left => Ok(match self.test(b, scope)? {
                    Truth::True => left,
                    right => right,
                }),
            },
            Expr::Binary(Operator::Or, a, b) => match self.test(a, scope)? {
                Truth::True => Ok(Truth::True),
                left => Ok(match self.test(b, scope)? {
                    Truth::False => left,
                    right => right,
                }),
            },
            Expr::Not(inner) => Ok(match self.test(inner, scope)? {
                Truth::Unknown => Truth::Unknown,
                Truth::True => Truth::False,
                Truth::False => Truth::True,
            }),
            Expr::IsUnknown(inner) => Ok(truth(self.test(inner, scope)? == Truth::Unknown)),
            Expr::Exists(inner) => {
                let mut found = Vec::new();
                Ok(match quiet(self.expr(inner, scope, &mut found))? {
                    None if self.lax && !found.is_empty() => Truth::True,
                    None => Truth::Unknown,
                    Some(()) => truth(!found.is_empty()),
                })
            }
            Expr::Binary(Operator::StartsWith, a, b) => {
                let (Some(left), Some(right)) = (self.side(a, scope)?, self.bare(b, scope)?) else {
                    return Ok(Truth::Unknown);
                };
                self.pairs(&left, &right, |x, y| {
                    Ok(match (x.string(), y.string()) {
                        (Some(x), Some(y)) => truth(x.starts_with(y)),
                        _ => Truth::Unknown,
                    })
                })
            }
            Expr::LikeRegex(inner, pattern, flags) => {
                let Some(left) = self.side(inner, scope)? else { return Ok(Truth::Unknown) };
                let has = |c| flags.contains(c);
                let options = Options {
                    ignore_case: has('i'),
                    newline_stops: !has('q') && !has('s'),
                    newline_anchors: !has('q') && has('m'),
                    expanded: false,
                    literal: has('q'),
                };
                let regex = cached(pattern, options).map_err(plain)?;
                let none = [self.root.clone()];
                self.pairs(&left, &none, |x, _| {
                    Ok(match x.string() {
                        Some(s) => truth(regex.is_match(s).map_err(plain)?),
                        None => Truth::Unknown,
                    })
                })
            }
            Expr::Binary(operator, a, b) => {
                let (Some(left), Some(right)) = (self.side(a, scope)?, self.side(b, scope)?) else {
                    return Ok(Truth::Unknown);
                };
                self.pairs(&left, &right, |x, y| self.compare(*operator, x, y))
            }
            // A value that stands as a condition.
            other => {
                let mut found = Vec::new();
                self.expr(other, scope, &mut found)?;
                Ok(match found.first().and_then(Item::view).map(|v| v.kind()) {
                    Some(pg_json::Kind::Bool(b)) => truth(b),
                    _ => Truth::Unknown,
                })
            }
        }
    }

    /// An operand of a predicate, arrays taken apart in lax mode; `None`: it could not be computed.
    fn side(&self, e: &Expr, scope: Scope<'_>) -> Result<Option<Vec<Item>>> {
        quiet(self.unwrapped(e, scope))
    }

    fn bare(&self, e: &Expr, scope: Scope<'_>) -> Result<Option<Vec<Item>>> {
        let mut found = Vec::new();
        Ok(quiet(self.expr(e, scope, &mut found))?.map(|()| found))
    }

    /// True when some pair passes; in strict mode any pair that cannot be judged makes the whole unknown.
    fn pairs(
        &self,
        left: &[Item],
        right: &[Item],
        test: impl Fn(&Item, &Item) -> Result<Truth>,
    ) -> Result<Truth> {
        let (mut found, mut unknown) = (false, false);
        for x in left {
            for y in right {
                self.checkpoint()?;
                match test(x, y)? {
                    Truth::Unknown if !self.lax => return Ok(Truth::Unknown),
                    Truth::Unknown => unknown = true,
                    Truth::True if self.lax => return Ok(Truth::True),
                    Truth::True => found = true,
                    Truth::False => {}
                }
            }
        }
        Ok(match (found, unknown) {
            (true, _) => Truth::True,
            (false, true) => Truth::Unknown,
            _ => Truth::False,
        })
    }

    fn compare(&self, operator: Operator, a: &Item, b: &Item) -> Result<Truth> {
        use pg_json::Kind as J;
        let order = match (a.number()?, b.number()?, a.kind(), b.kind()) {
            (Some(x), Some(y), ..) => x.compare(&y),
            (_, _, Kind::Moment(t, x), Kind::Moment(u, y)) => {
                match datetime::compare(self.ctx, (t, x), (u, y), self.zones).map_err(plain)? {
                    Some(order) => order,
                    None => return Ok(Truth::Unknown),
                }
            }
            (_, _, Kind::View(x), Kind::View(y)) => match (x.kind(), y.kind()) {
                (J::Null, J::Null) => Ordering::Equal,
                (J::Bool(x), J::Bool(y)) => x.cmp(&y),
                (J::String(x), J::String(y)) => x.cmp(y),
                (J::Null, _) | (_, J::Null) => return Ok(truth(operator == Operator::NotEqual)),
                _ => return Ok(Truth::Unknown),
            },
            (_, _, x, y) => {
                let null = |k: &Kind<'_>| matches!(k, Kind::View(v) if v.kind() == J::Null);
                return Ok(if null(&x) || null(&y) {
                    truth(operator == Operator::NotEqual)
                } else {
                    Truth::Unknown
                });
            }
        };
        Ok(truth(match operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            _ => order.is_ge(),
        }))
    }
}

fn truth(b: bool) -> Truth {
    if b { Truth::True } else { Truth::False }
}

/// A hidden fault as nothing.
fn quiet<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(x) => Ok(Some(x)),
        Err(Fault::Hidden(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}
