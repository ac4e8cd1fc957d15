//! Steps: accessors, filters, methods.

use alloc::{format, rc::Rc, vec::Vec};

use pg_json::{
    Json, View,
    path::{Expr, Level, Method, Step},
};
use pg_types::{Numeric, Value, io, oid};

use super::{Fault, Item, Kind, Result, Run, Scope, Truth, datetime, hidden, plain};

impl Run<'_> {
    /// Walks steps from an item. `unwrap`: the first step takes arrays apart, as lax mode does once.
    pub(super) fn walk(
        &self,
        steps: &[Step],
        item: &Item,
        scope: Scope<'_>,
        unwrap: bool,
        out: &mut Vec<Item>,
    ) -> Result<()> {
        self.checkpoint()?;
        let Some((step, rest)) = steps.split_first() else {
            out.push(item.clone());
            return Ok(());
        };
        // These look at the items of an array rather than at the array.
        let apart = match step {
            Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Datetime(_) => true,
            Step::Method(m) => !matches!(m, Method::Type | Method::Size),
            _ => false,
        };
        if apart && unwrap && item.is_array() {
            return item.elements().iter().try_for_each(|e| self.walk(steps, e, scope, false, out));
        }
        let next = |item: &Item, out: &mut Vec<Item>| self.walk(rest, item, scope, self.lax, out);
        match step {
            Step::Key(key) => match item.view() {
                Some(v) if v.is_object() => match v.member(key) {
                    Some(found) => next(&item.child(found), out),
                    None if self.forgiving.get() => Ok(()),
                    None => hidden(b"2203A", format!("JSON object does not contain key \"{key}\"")),
                },
                _ => self.structural(b"2203A", "jsonpath member accessor can only be applied to an object"),
            },
            Step::AnyKey => match item.view() {
                Some(v) if v.is_object() => v.members().try_for_each(|(_, m)| next(&item.child(m), out)),
                _ => self.structural(
                    b"2203C",
                    "jsonpath wildcard member accessor can only be applied to an object",
                ),
            },
            Step::AnyElement if item.is_array() => item.elements().iter().try_for_each(|e| next(e, out)),
            Step::AnyElement if self.lax => next(item, out),
            Step::AnyElement => {
                self.structural(b"22039", "jsonpath wildcard array accessor can only be applied to an array")
            }
            Step::Elements(list) => self.elements(list, rest, item, scope, out),
            Step::Any(first, last) => self.any(*first, *last, rest, item, scope, out),
            Step::Filter(condition) => {
                let inner = Scope { current: item, size: scope.size };
                if self.test(condition, inner)? == Truth::True { next(item, out) } else { Ok(()) }
            }
            Step::Method(Method::KeyValue) => self.key_values(item, rest, scope, out),
            Step::Method(method) => next(&self.method(*method, item)?, out),
            Step::Datetime(template) => {
                let Some(text) = item.string() else {
                    return hidden(
                        b"22031",
                        "jsonpath item method .datetime() can only be applied to a string",
                    );
                };
                next(&datetime::read(self.ctx, text, template.as_deref())?, out)
            }
        }
    }

    /// An error where errors of structure count.
    fn structural(&self, state: &[u8; 5], message: &'static str) -> Result<()> {
        if self.forgiving.get() { Ok(()) } else { hidden(state, message) }
    }

    fn index(&self, e: &Expr, scope: Scope<'_>) -> Result<i64> {
        let mut found = Vec::new();
        self.expr(e, scope, &mut found)?;
        let number = match found.as_slice() {
            [one] => one.number()?,
            _ => None,
        };
        let Some(number) = number else {
            return hidden(b"22033", "jsonpath array subscript is not a single numeric value");
        };
        match number.trunc(0).and_then(|n| n.to_i32()) {
            Ok(n) => Ok(n.into()),
            Err(_) => hidden(b"22033", "jsonpath array subscript is out of integer range"),
        }
    }

    fn elements(
        &self,
        list: &[(Expr, Option<Expr>)],
        rest: &[Step],
        item: &Item,
        scope: Scope<'_>,
        out: &mut Vec<Item>,
    ) -> Result<()> {
        let array = item.view().filter(|v| v.is_array());
        if array.is_none() && !self.lax {
            return self.structural(b"22039", "jsonpath array accessor can only be applied to an array");
        }
        let size = array.map_or(1, View::len) as i64;
        let inner = Scope { size: Some(size as usize), ..scope };
        for (from, to) in list {
            let from = self.index(from, inner)?;
            let to = to.as_ref().map_or(Ok(from), |to| self.index(to, inner))?;
            if !self.forgiving.get() && (from < 0 || from > to || to >= size) {
                return hidden(b"22033", "jsonpath array subscript is out of bounds");
            }
            for i in from.max(0)..=to.min(size - 1) {
                match array.and_then(|a| a.element(i as usize)) {
                    Some(e) => self.walk(rest, &item.child(e), scope, self.lax, out)?,
                    None => self.walk(rest, item, scope, self.lax, out)?,
                }
            }
        }
        Ok(())
    }

    fn any(
        &self,
        first: Level,
        last: Level,
        rest: &[Step],
        item: &Item,
        scope: Scope<'_>,
        out: &mut Vec<Item>,
    ) -> Result<()> {
        let before = self.forgiving.replace(true);
        let here = if first == Level::At(0) { self.walk(rest, item, scope, self.lax, out) } else { Ok(()) };
        let result = here.and_then(|()| self.below(1, (first, last), rest, item, scope, out));
        self.forgiving.set(before);
        result
    }

    fn below(
        &self,
        level: u32,
        range: (Level, Level),
        rest: &[Step],
        item: &Item,
        scope: Scope<'_>,
        out: &mut Vec<Item>,
    ) -> Result<()> {
        let (first, last) = range;
        let Some(view) = item.view().filter(|_| Level::At(level) <= last) else { return Ok(()) };
        let children: Vec<Item> = if view.is_array() {
            item.elements()
        } else {
            view.members().map(|(_, m)| item.child(m)).collect()
        };
        for child in &children {
            let leaf = child.view().is_none_or(View::is_scalar);
            if Level::At(level) >= first || (first == Level::Last && last == Level::Last && leaf) {
                self.walk(rest, child, scope, self.lax, out)?;
            }
            if Level::At(level) < last && !leaf {
                self.below(level + 1, range, rest, child, scope, out)?;
            }
        }
        Ok(())
    }

    fn method(&self, method: Method, item: &Item) -> Result<Item> {
        let number = || -> Result<Numeric> {
            let name = match method {
                Method::Abs => "abs",
                Method::Floor => "floor",
                _ => "ceiling",
            };
            match item.number()? {
                Some(n) => Ok(n),
                None => hidden(
                    b"22036",
                    format!("jsonpath item method .{name}() can only be applied to a numeric value"),
                ),
            }
        };
        Ok(match method {
            Method::Type => Item::made(&Json::string(match item.kind() {
                Kind::View(v) => super::super::access::kind_name(v),
                Kind::Number(_) => "number",
                Kind::Moment(ty, _) => datetime::type_name(ty),
            }))?,
            Method::Size => match item.view().filter(|v| v.is_array()) {
                Some(v) => Item::Number(Numeric::from(v.len() as i64)),
                None if self.lax || self.forgiving.get() => Item::Number(Numeric::from(1)),
                None => {
                    return hidden(b"22039", "jsonpath item method .size() can only be applied to an array");
                }
            },
            Method::Abs => Item::Number(number()?.abs()),
            Method::Floor => Item::Number(number()?.floor().map_err(Fault::Hidden)?),
            Method::Ceiling => Item::Number(number()?.ceil().map_err(Fault::Hidden)?),
            Method::Double | Method::KeyValue => self.double(item)?,
        })
    }

    fn double(&self, item: &Item) -> Result<Item> {
        let read = |text: &str| match io::input(oid::FLOAT8.into(), text, self.ctx.host.format()) {
            Ok(Value::Float8(x)) if x.is_finite() => Some(x),
            _ => None,
        };
        if let Some(n) = item.number()? {
            return match read(&alloc::string::ToString::to_string(&n)) {
                Some(_) => Ok(item.clone()),
                None => hidden(
                    b"22036",
                    "numeric argument of jsonpath item method .double() is out of range for type double precision",
                ),
            };
        }
        let Some(text) = item.string() else {
            return hidden(
                b"22036",
                "jsonpath item method .double() can only be applied to a string or numeric value",
            );
        };
        match read(text) {
            Some(x) => Ok(Item::Number(Numeric::from_f64(x))),
            None => hidden(
                b"22036",
                "string argument of jsonpath item method .double() is not a valid representation of a double precision number",
            ),
        }
    }

    fn key_values(&self, item: &Item, rest: &[Step], scope: Scope<'_>, out: &mut Vec<Item>) -> Result<()> {
        let (Some(view), Item::Part { doc, base, .. }) = (item.view().filter(|v| v.is_object()), item) else {
            return hidden(b"2203C", "jsonpath item method .keyvalue() can only be applied to an object");
        };
        let id = *base as i128 * 10_000_000_000 + view.postgres_offset(doc.root()) as i128;
        for (key, value) in view.members() {
            let object = Json::Object(alloc::vec![
                ("id".into(), Json::Number(format!("{id}").into())),
                ("key".into(), Json::string(key)),
                ("value".into(), value.into()),
            ]);
            let made = object.finish().map_err(|e| plain(pg_types::json::error(e)))?;
            let number = self.generated.get();
            self.generated.set(number + 1);
            self.walk(rest, &Item::whole(Rc::new(made), number), scope, self.lax, out)?;
        }
        Ok(())
    }
}
