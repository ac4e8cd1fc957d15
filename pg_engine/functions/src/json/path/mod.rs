//! Running `jsonpath` expressions.
//!
//! Errors are of two kinds: those that a predicate turns into "unknown" and `silent` hides, and those that always end the
//! statement.

mod datetime;
mod functions;
mod predicate;
mod steps;

use alloc::{boxed::Box, format, rc::Rc, vec::Vec};
use core::{cell::Cell, ops::Range};

use pg_json::{
    Json, Jsonb, View,
    path::{Expr, Operator, Path},
};
use pg_types::{Numeric, Oid, SqlError, SqlState, Value, json};

use crate::def::EvalContext;

pub(super) use functions::FUNCTIONS;

/// Why a path could not be run to its end.
pub(super) enum Fault {
    /// Predicates and `silent` take it as "unknown".
    Hidden(SqlError),
    /// Always an error.
    Plain(SqlError),
}

type Result<T> = core::result::Result<T, Fault>;

fn hidden<T>(state: &[u8; 5], message: impl Into<alloc::borrow::Cow<'static, str>>) -> Result<T> {
    Err(Fault::Hidden(SqlError::new(SqlState(*state), message)))
}

fn plain(e: SqlError) -> Fault {
    Fault::Plain(e)
}

/// A value on the way.
#[derive(Clone)]
pub(super) enum Item {
    /// A part of a document, and the number of that document.
    Part { doc: Rc<Jsonb>, at: Range<usize>, base: u64 },
    /// A number that was computed.
    Number(Numeric),
    /// A date or time, by its type.
    Moment(Oid, Value),
}

/// What an item is, for those who do not care where it came from.
enum Kind<'a> {
    View(View<'a>),
    Number(&'a Numeric),
    Moment(Oid, &'a Value),
}

impl Item {
    fn whole(doc: Rc<Jsonb>, base: u64) -> Self {
        let at = doc.range_of(doc.root());
        Self::Part { doc, at, base }
    }
    fn made(json: &Json) -> Result<Self> {
        let doc = json.finish().map_err(|e| plain(json::error(e)))?;
        Ok(Self::whole(Rc::new(doc), 0))
    }
    fn kind(&self) -> Kind<'_> {
        match self {
            Self::Part { doc, at, .. } => Kind::View(doc.view(at)),
            Self::Number(n) => Kind::Number(n),
            Self::Moment(ty, v) => Kind::Moment(*ty, v),
        }
    }
    fn view(&self) -> Option<View<'_>> {
        match self.kind() {
            Kind::View(v) => Some(v),
            _ => None,
        }
    }
    /// A value inside of this one.
    fn child(&self, view: View<'_>) -> Self {
        match self {
            Self::Part { doc, base, .. } => {
                Self::Part { doc: doc.clone(), at: doc.range_of(view), base: *base }
            }
            other => other.clone(),
        }
    }
    fn is_array(&self) -> bool {
        self.view().is_some_and(View::is_array)
    }
    fn elements(&self) -> Vec<Self> {
        self.view().map_or_else(Vec::new, |v| v.elements().map(|e| self.child(e)).collect())
    }
    fn number(&self) -> Result<Option<Numeric>> {
        match self.kind() {
            Kind::Number(n) => Ok(Some(n.clone())),
            Kind::View(v) => match v.kind() {
                pg_json::Kind::Number(n) => Numeric::parse(n).map(Some).map_err(plain),
                _ => Ok(None),
            },
            Kind::Moment(..) => Ok(None),
        }
    }
    fn string(&self) -> Option<&str> {
        match self.view()?.kind() {
            pg_json::Kind::String(s) => Some(s),
            _ => None,
        }
    }
    /// As a document of its own.
    fn document(&self, ctx: &EvalContext<'_>) -> pg_types::Result<Jsonb> {
        let json = match self.kind() {
            Kind::View(v) => return Ok(Jsonb::copy_of(v)),
            Kind::Number(n) => Json::Number(alloc::string::ToString::to_string(n).into()),
            Kind::Moment(ty, v) => datetime::shown(ctx, ty, v).into(),
        };
        json.finish().map_err(json::error)
    }
}

/// One run of a path.
struct Run<'a> {
    ctx: &'a EvalContext<'a>,
    root: Item,
    vars: Option<Rc<Jsonb>>,
    lax: bool,
    /// Time zones may be used.
    zones: bool,
    /// Structural errors are no errors: in lax mode, and below `**`.
    forgiving: Cell<bool>,
    /// Number of the next document made by keyvalue().
    generated: Cell<u64>,
    steps: Cell<u32>,
}

/// What `@` and `last` mean.
#[derive(Clone, Copy)]
struct Scope<'a> {
    current: &'a Item,
    size: Option<usize>,
}

/// Three-valued truth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    False,
    True,
    Unknown,
}

impl Run<'_> {
    /// Appends what an expression yields.
    fn expr(&self, e: &Expr, scope: Scope<'_>, out: &mut Vec<Item>) -> Result<()> {
        let item = match e {
            Expr::Null => Item::made(&Json::Null)?,
            Expr::Bool(b) => Item::made(&Json::Bool(*b))?,
            Expr::Number(n) => Item::Number(Numeric::parse(n).map_err(plain)?),
            Expr::String(s) => Item::made(&Json::String(s.clone()))?,
            Expr::Variable(name) => self.variable(name)?,
            Expr::Root => self.root.clone(),
            Expr::Current => scope.current.clone(),
            Expr::Last => match scope.size {
                Some(n) => Item::Number(Numeric::from(n as i64 - 1)),
                None => {
                    return Err(plain(SqlError::internal(
                        "evaluating jsonpath LAST outside of array subscript",
                    )));
                }
            },
            Expr::Binary(operator, a, b) if arithmetic(*operator).is_some() => {
                self.binary(*operator, a, b, scope)?
            }
            Expr::Plus(inner) => return self.unary(inner, '+', scope, out),
            Expr::Minus(inner) => return self.unary(inner, '-', scope, out),
            Expr::Chain(base, steps) => {
                let mut items = Vec::new();
                self.expr(base, scope, &mut items)?;
                for item in items {
                    self.walk(steps, &item, scope, self.lax, out)?;
                }
                return Ok(());
            }
            condition => Item::made(&match self.test(condition, scope)? {
                Truth::Unknown => Json::Null,
                truth => Json::Bool(truth == Truth::True),
            })?,
        };
        out.push(item);
        Ok(())
    }

    fn variable(&self, name: &str) -> Result<Item> {
        let found = self.vars.as_ref().and_then(|vars| {
            let view = vars.root().member(name)?;
            Some(Item::Part { doc: vars.clone(), at: vars.range_of(view), base: 1 })
        });
        found.ok_or_else(|| {
            plain(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find jsonpath variable \"{name}\""),
            ))
        })
    }

    /// What an expression yields, arrays taken apart in lax mode.
    fn unwrapped(&self, e: &Expr, scope: Scope<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        self.expr(e, scope, &mut items)?;
        if !self.lax || !items.iter().any(Item::is_array) {
            return Ok(items);
        }
        Ok(items.into_iter().flat_map(|i| if i.is_array() { i.elements() } else { alloc::vec![i] }).collect())
    }

    fn operand(&self, e: &Expr, scope: Scope<'_>, side: &str, sign: &str) -> Result<Numeric> {
        if let [item] = self.unwrapped(e, scope)?.as_slice()
            && let Some(n) = item.number()?
        {
            return Ok(n);
        }
        hidden(b"22038", format!("{side} operand of jsonpath operator {sign} is not a single numeric value"))
    }

    fn binary(&self, operator: Operator, a: &Expr, b: &Expr, scope: Scope<'_>) -> Result<Item> {
        let sign = arithmetic(operator).unwrap_or("?");
        let x = self.operand(a, scope, "left", sign)?;
        let y = self.operand(b, scope, "right", sign)?;
        let result = match operator {
            Operator::Add => x.add(&y),
            Operator::Subtract => x.sub(&y),
            Operator::Multiply => x.mul(&y),
            Operator::Divide => x.div(&y),
            _ => x.rem(&y),
        };
        result.map(Item::Number).map_err(Fault::Hidden)
    }

    fn unary(&self, e: &Expr, sign: char, scope: Scope<'_>, out: &mut Vec<Item>) -> Result<()> {
        for item in self.unwrapped(e, scope)? {
            let Some(n) = item.number()? else {
                return hidden(
                    b"2203B",
                    format!("operand of unary jsonpath operator {sign} is not a numeric value"),
                );
            };
            out.push(Item::Number(if sign == '-' { n.neg() } else { n }));
        }
        Ok(())
    }

    /// Long runs can be cancelled.
    fn checkpoint(&self) -> Result<()> {
        let n = self.steps.get().wrapping_add(1);
        self.steps.set(n);
        if n.is_multiple_of(4096) && self.ctx.host.cancelled() {
            return Err(plain(crate::errors::cancelled()));
        }
        Ok(())
    }
}

fn arithmetic(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
        _ => return None,
    })
}

/// Runs a path; the items found until a hidden fault, and that fault.
fn run(
    ctx: &EvalContext<'_>,
    target: &Jsonb,
    path: &Path,
    vars: &Jsonb,
    zones: bool,
) -> pg_types::Result<(Vec<Item>, Option<Box<SqlError>>)> {
    if !vars.root().is_object() {
        return Err(super::invalid("\"vars\" argument is not an object")
            .detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
    }
    let root = Item::whole(Rc::new(target.clone()), 0);
    let run = Run {
        ctx,
        root: root.clone(),
        vars: Some(Rc::new(vars.clone())),
        lax: path.lax,
        zones,
        forgiving: Cell::new(path.lax),
        generated: Cell::new(2),
        steps: Cell::new(0),
    };
    let mut out = Vec::new();
    match run.expr(&path.root, Scope { current: &root, size: None }, &mut out) {
        Ok(()) => Ok((out, None)),
        Err(Fault::Hidden(e)) => Ok((out, Some(Box::new(e)))),
        Err(Fault::Plain(e)) => Err(e),
    }
}
