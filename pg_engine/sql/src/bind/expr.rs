//! Scalar expressions.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use pg_plan::expr::{Call, Case, Expr, Subscript};
use pg_types::{Result, SqlError, SqlState, SqlType, Value, oid, typeinfo};
use sqlparser::ast::{self as sq, BinaryOperator as Op, Spanned};

use super::{Binder, part, scope::at, types::show};
use crate::{
    dialect::DEFAULT_MARKER,
    grammar::{position, stars::WHOLE_ROW},
    ruleutils::Note,
};

const BOOL: SqlType = SqlType::new(oid::BOOL);
/// Operators of one level in a row, each the operand of the next: what walks expressions by recursion goes down them all.
const MAX_SPINE: u32 = 2000;

/// Where an expression begins. `span` walks the whole tree by recursion; long rows of operators are spared that.
pub(super) fn start(mut expr: &sq::Expr) -> u32 {
    loop {
        expr = match expr {
            sq::Expr::BinaryOp { left, .. } => left,
            sq::Expr::Nested(inner) => inner,
            // The operator stands before it, as a rule without a space.
            sq::Expr::UnaryOp { op: sq::UnaryOperator::Minus | sq::UnaryOperator::Plus, expr } => {
                return start(expr).saturating_sub(1);
            }
            sq::Expr::Function(f) => return position(f.name.span().start),
            other => return position(other.span().start),
        };
    }
}

/// A number behind minus signs, in parentheses or not: the signs are part of the literal, and of its type. True: negative.
fn signed_number(mut expr: &sq::Expr) -> Option<(&str, bool)> {
    let mut negative = false;
    loop {
        expr = match expr {
            sq::Expr::Nested(inner) => inner,
            sq::Expr::UnaryOp { op: sq::UnaryOperator::Minus, expr } => {
                negative = !negative;
                expr
            }
            sq::Expr::Value(v) => match &v.value {
                sq::Value::Number(text, _) => return Some((text, negative)),
                _ => return None,
            },
            _ => return None,
        };
    }
}

/// The position in the select list that a constant in such a clause is, and its text.
pub(super) fn list_position(item: &sq::Expr, clause: &str) -> Result<Option<(usize, String)>> {
    let mut inner = item;
    while let sq::Expr::Nested(e) = inner {
        inner = e;
    }
    let (text, negative) = match signed_number(inner) {
        Some(number) => number,
        None => match inner {
            sq::Expr::Value(v) if !matches!(v.value, sq::Value::Placeholder(_)) => ("", false),
            _ => return Ok(None),
        },
    };
    let Ok(number) = text.parse::<i32>() else {
        return Err(SqlError::syntax(format!("non-integer constant in {clause}")).at(start(inner)));
    };
    let text = if negative { format!("-{text}") } else { text.into() };
    Ok(Some((if negative { 0 } else { number.unsigned_abs() as usize }, text)))
}

/// Where it ends.
fn end(mut expr: &sq::Expr) -> sqlparser::tokenizer::Location {
    while let sq::Expr::BinaryOp { right, .. } = expr {
        expr = right;
    }
    expr.span().end
}

impl Binder<'_> {
    /// Binds an expression. Untyped literals keep the type unknown.
    pub(super) fn expr(&mut self, expr: &sq::Expr) -> Result<Expr> {
        let mark = self.collation_mark();
        let bound = self.deeper(|b| b.expr_inner(expr));
        match &bound {
            Ok(e) => self.derive(mark, expr, e)?,
            Err(_) => self.forget_collations(mark),
        }
        bound
    }

    fn expr_inner(&mut self, expr: &sq::Expr) -> Result<Expr> {
        match expr {
            sq::Expr::Identifier(ident) => self.identifier(ident),
            sq::Expr::CompoundIdentifier(parts) => self.compound(parts),
            sq::Expr::Value(value) => self.value(value),
            sq::Expr::Nested(inner) => self.expr_inner(inner),
            sq::Expr::BinaryOp { left, op: Op::Overlaps, right } => self.overlaps(left, right),
            sq::Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            sq::Expr::UnaryOp { op, expr: operand } => self.unary(op, operand),
            sq::Expr::Function(f) => self.function(f),
            sq::Expr::Cast { kind, expr: inner, data_type, .. } => self.cast_expr(kind, inner, data_type),
            sq::Expr::IsNull(e) => self.is_null(e, true),
            sq::Expr::IsNotNull(e) => self.is_null(e, false),
            sq::Expr::IsTrue(e) => self.is_truth(e, Some(true), false, "IS TRUE"),
            sq::Expr::IsNotTrue(e) => self.is_truth(e, Some(true), true, "IS NOT TRUE"),
            sq::Expr::IsFalse(e) => self.is_truth(e, Some(false), false, "IS FALSE"),
            sq::Expr::IsNotFalse(e) => self.is_truth(e, Some(false), true, "IS NOT FALSE"),
            sq::Expr::IsUnknown(e) => self.is_truth(e, None, false, "IS UNKNOWN"),
            sq::Expr::IsNotUnknown(e) => self.is_truth(e, None, true, "IS NOT UNKNOWN"),
            sq::Expr::InList { expr: e, list, negated } => self.in_list(e, list, *negated),
            sq::Expr::Between { expr: e, negated, low, high } => self.between(e, *negated, low, high),
            sq::Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), start(expr))
            }
            other => self.rare(other),
        }
    }

    /// The less common forms, apart so that the common ones' stack frame stays small.
    #[inline(never)]
    fn rare(&mut self, expr: &sq::Expr) -> Result<Expr> {
        match expr {
            sq::Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            sq::Expr::IsDistinctFrom(a, b) => self.distinct(a, b, false),
            sq::Expr::IsNotDistinctFrom(a, b) => self.distinct(a, b, true),
            sq::Expr::InSubquery { expr: e, subquery, negated } => {
                let bound = self.quantified_subquery(e, "=", subquery, true, *negated)?;
                self.alike(expr, bound)
            }
            sq::Expr::AnyOp { left, compare_op, right, .. } => self.quantified(left, compare_op, right, true),
            sq::Expr::AllOp { left, compare_op, right } => self.quantified(left, compare_op, right, false),
            sq::Expr::Exists { subquery, negated } => {
                let bound = self.exists(subquery, *negated)?;
                self.alike(expr, bound)
            }
            sq::Expr::Subquery(query) => {
                let bound = self.scalar_subquery(query)?;
                self.alike(expr, bound)
            }
            sq::Expr::Array(array) => self.array(&array.elem, start(expr)),
            sq::Expr::Tuple(items) => self.row(items),
            sq::Expr::Collate { expr: inner, collation } => self.collate(inner, collation),
            sq::Expr::QualifiedWildcard(name, _) => {
                let names = name.0.iter().map(|p| part(p).cloned()).collect::<Result<Vec<_>>>()?;
                self.table_row(&names)
            }
            other => self.special(other),
        }
    }

    /// Binds and, when it has no type, makes it text.
    pub(super) fn settled(&mut self, expr: &sq::Expr) -> Result<Expr> {
        let bound = self.expr(expr)?;
        self.settle(bound)
    }

    fn identifier(&mut self, ident: &sq::Ident) -> Result<Expr> {
        if ident.quote_style.is_none() && ident.value == DEFAULT_MARKER {
            return Err(SqlError::syntax("DEFAULT is not allowed in this context").at(at(ident)));
        }
        if let Some((expr, _)) = self.find_column(&ident.value, at(ident))? {
            return Ok(expr);
        }
        if let Some((level, index)) = self.find_entry(None, &ident.value, at(ident))? {
            return self.whole_row(level, index, at(ident));
        }
        if let Some(parameter) = self.named_parameter(&ident.value)? {
            return Ok(parameter);
        }
        Err(self.missing_column(&ident.value, at(ident)))
    }

    fn compound(&mut self, parts: &[sq::Ident]) -> Result<Expr> {
        match parts {
            [names @ .., star] if star.value == WHOLE_ROW => self.table_row(names),
            [table, column] => {
                let found = self.find_entry(None, &table.value, at(table))?;
                if found.is_none()
                    && let Some(e) = self.parameter_part(&table.value, &column.value, at(column))?
                {
                    return Ok(e);
                }
                if found.is_none()
                    && let Some((record, _)) = self.find_column(&table.value, at(table))?
                    && record.ty().oid == oid::RECORD
                {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("could not identify column \"{}\" in record data type", column.value),
                    )
                    .at(at(column)));
                }
                match self.qualified_column(None, &table.value, &column.value, at(table)) {
                    Ok(found) => Ok(found.0),
                    // A function of the row may be written like a column of it.
                    Err(e) => match found.map(|f| self.attribute_call(f, column)).transpose()?.flatten() {
                        Some(call) => Ok(call),
                        None => Err(e),
                    },
                }
            }
            [schema, table, column] => {
                Ok(self.qualified_column(Some(&schema.value), &table.value, &column.value, at(schema))?.0)
            }
            _ => {
                let first = parts.first().map_or(0, at);
                Err(SqlError::syntax(format!(
                    "improper qualified name (too many dotted names): {}",
                    super::dotted(parts)
                ))
                .at(first))
            }
        }
    }

    /// `table.*` as one value.
    fn table_row(&mut self, names: &[sq::Ident]) -> Result<Expr> {
        let (schema, table) = match names {
            [table] => (None, table),
            [schema, table] => (Some(schema.value.as_str()), table),
            _ => return Err(SqlError::unsupported(format!("{}.*", super::dotted(names)))),
        };
        match self.find_entry(schema, &table.value, at(table))? {
            Some((level, index)) => self.whole_row(level, index, at(table)),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("missing FROM-clause entry for table \"{}\"", table.value),
            )
            .at(at(table))),
        }
    }

    fn value(&mut self, value: &sq::ValueWithSpan) -> Result<Expr> {
        let unknown = SqlType::new(oid::UNKNOWN);
        match &value.value {
            sq::Value::Number(text, _) => super::literal::number(text, false),
            sq::Value::SingleQuotedString(text) => {
                self.literals.push(value.span.start);
                Ok(Expr::Const(Value::text(text), unknown))
            }
            sq::Value::Boolean(b) => Ok(Expr::Const(Value::Bool(*b), BOOL)),
            sq::Value::Null => Ok(Expr::Const(Value::Null, unknown)),
            sq::Value::Placeholder(text) => self.parameter(text, position(value.span.start)),
            sq::Value::SingleQuotedByteStringLiteral(digits) => {
                super::literal::bits('b', digits).map_err(|e| e.at(position(value.span.start)))
            }
            sq::Value::HexStringLiteral(digits) => {
                super::literal::bits('x', digits).map_err(|e| e.at(position(value.span.start)))
            }
            other => Err(SqlError::unsupported(format!("literal {other}")).at(position(value.span.start))),
        }
    }

    fn cast_expr(&mut self, kind: &sq::CastKind, inner: &sq::Expr, data_type: &sq::DataType) -> Result<Expr> {
        let ty = self.data_type(data_type)?;
        let at = if *kind == sq::CastKind::DoubleColon { self.operator_at(inner) } else { start(inner) };
        // ARRAY[]::type[] takes its element type from the cast.
        let mut plain = inner;
        while let sq::Expr::Nested(next) = plain {
            plain = next;
        }
        // So it does through a domain over an array.
        let shape = if pg_types::user::is_domain(ty.oid) { self.catalog.plain_type(ty)? } else { ty };
        if let sq::Expr::Array(array) = plain
            && typeinfo::element_of(shape.oid) != 0
        {
            let made = self.array_as(&array.elem, shape, at)?;
            return if shape == ty { Ok(made) } else { self.cast(made, ty, at) };
        }
        let bound = self.expr(inner)?;
        self.cast(bound, ty, at)
    }

    /// The name of an operator as the registry knows it.
    pub(super) fn operator_name(op: &Op) -> Result<String> {
        Ok(match op {
            Op::NotEq => "<>".into(),
            Op::PGCustomBinaryOperator(parts) => match parts.as_slice() {
                [name] => name.clone(),
                parts => parts.join("."),
            },
            Op::Plus => "+".into(),
            Op::Minus => "-".into(),
            Op::Multiply => "*".into(),
            Op::Divide => "/".into(),
            Op::Eq => "=".into(),
            Op::Lt => "<".into(),
            Op::Gt => ">".into(),
            Op::LtEq => "<=".into(),
            Op::GtEq => ">=".into(),
            Op::Overlaps => return Err(SqlError::unsupported("OVERLAPS")),
            other => format!("{other}"),
        })
    }

    /// Position of the operator behind an operand.
    pub(super) fn operator_at(&self, left: &sq::Expr) -> u32 {
        let end = end(left);
        let from = (end.line as usize).saturating_sub(1);
        let skipped = self
            .source
            .get(from..)
            .unwrap_or("")
            .chars()
            .take_while(|c| c.is_whitespace() || matches!(c, ')' | ']'))
            .count();
        if end.line == 0 { 0 } else { position(end) + skipped as u32 }
    }

    fn binary(&mut self, left: &sq::Expr, op: &Op, right: &sq::Expr) -> Result<Expr> {
        match op {
            Op::And => return self.junction(left, right, true),
            Op::Or => return self.junction(left, right, false),
            Op::Xor => return Err(SqlError::syntax("syntax error at or near \"xor\"")),
            _ => {}
        }
        // Operators of one level lean left: go down the spine first, so that its length costs no stack.
        let mut spine: Vec<(&sq::Expr, &Op, &sq::Expr)> = vec![(left, op, right)];
        let mut leftmost = left;
        while let sq::Expr::BinaryOp { left: l, op: o, right: r } = leftmost {
            if matches!(o, Op::And | Op::Or) {
                break;
            }
            spine.push((l, o, r));
            leftmost = l;
        }
        let depth = spine.len() as u32;
        if depth > MAX_SPINE {
            return Err(crate::lexer::too_complex());
        }
        let mut bound = None;
        let mark = self.collation_mark();
        while let Some((l, o, r)) = spine.pop() {
            let result = match (row_items(l), row_items(r)) {
                (Some(a), None)
                    if bound.is_none()
                        && let sq::Expr::Subquery(query) = r =>
                {
                    let name = Self::operator_name(o)?;
                    self.row_subquery(l, a, &name, query)?
                }
                (Some(a), Some(b)) if bound.is_none() => self.row_comparison(o, a, b, l)?,
                _ => {
                    let left = match bound.take() {
                        Some(left) => left,
                        None => self.expr(l)?,
                    };
                    let right = self.expr(r)?;
                    let name = Self::operator_name(o)?;
                    let at = self.operator_at(l);
                    self.operator(&name, left, right, at)?
                }
            };
            self.derive_node(mark, &result, self.operator_at(l))?;
            bound = Some(result);
        }
        bound.ok_or_else(|| SqlError::internal("operator without operands"))
    }

    /// AND and OR of any number of operands.
    fn junction(&mut self, left: &sq::Expr, right: &sq::Expr, and: bool) -> Result<Expr> {
        let mut operands = vec![right];
        let mut rest = left;
        while let sq::Expr::BinaryOp { left: l, op, right: r } = rest {
            if !matches!((op, and), (Op::And, true) | (Op::Or, false)) {
                break;
            }
            operands.push(r);
            rest = l;
        }
        operands.push(rest);
        let name = if and { "AND" } else { "OR" };
        let mut bound = Vec::with_capacity(operands.len());
        for operand in operands.into_iter().rev() {
            let at = start(operand);
            let e = self.expr(operand)?;
            match (self.boolean(e, name, at)?, and) {
                (Expr::And(inner), true) | (Expr::Or(inner), false) => bound.extend(inner),
                (e, _) => bound.push(e),
            }
        }
        Ok(if and { Expr::And(bound) } else { Expr::Or(bound) })
    }

    fn unary(&mut self, op: &sq::UnaryOperator, operand: &sq::Expr) -> Result<Expr> {
        let at = start(operand).saturating_sub(1).max(1);
        let name = match op {
            sq::UnaryOperator::Not => {
                let at = start(operand);
                let e = self.expr(operand)?;
                return Ok(Expr::Not(Box::new(self.boolean(e, "NOT", at)?)));
            }
            sq::UnaryOperator::Minus => {
                if let Some((text, negative)) = signed_number(operand) {
                    return super::literal::number(text, !negative);
                }
                "-"
            }
            sq::UnaryOperator::Plus => "+",
            sq::UnaryOperator::BitwiseNot => "~",
            sq::UnaryOperator::PGAbs => "@",
            sq::UnaryOperator::PGSquareRoot => "|/",
            sq::UnaryOperator::PGCubeRoot => "||/",
            sq::UnaryOperator::PGPrefixFactorial => "!!",
            sq::UnaryOperator::Hash => "#",
            other => return Err(SqlError::unsupported(format!("operator {other}"))),
        };
        let e = self.expr(operand)?;
        self.prefix_operator(name, e, at)
    }

    fn is_null(&mut self, e: &sq::Expr, null: bool) -> Result<Expr> {
        let e = self.expr(e)?;
        let e = self.settle(e)?;
        Ok(Expr::IsNull(Box::new(e), null))
    }

    fn is_truth(&mut self, e: &sq::Expr, wanted: Option<bool>, negated: bool, clause: &str) -> Result<Expr> {
        let at = start(e);
        let e = self.expr(e)?;
        Ok(Expr::IsTruth(Box::new(self.boolean(e, clause, at)?), wanted, negated))
    }

    /// The function behind an equality operator application.
    pub(super) fn equality(&mut self, left: Expr, right: Expr, at: u32) -> Result<Call> {
        match self.operator("=", left, right, at)? {
            Expr::Call(call) if call.ty.oid == oid::BOOL => Ok(*call),
            _ => Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "operator = does not yield boolean").at(at)),
        }
    }

    fn distinct(&mut self, a: &sq::Expr, b: &sq::Expr, not: bool) -> Result<Expr> {
        let at = self.operator_at(a);
        if let (Some(x), Some(y)) = (row_items(a), row_items(b)) {
            if x.len() != y.len() {
                return Err(SqlError::syntax("unequal number of entries in row expressions").at(at));
            }
            let mut parts = Vec::with_capacity(x.len());
            for (a, b) in x.iter().zip(y) {
                parts.push(self.distinct(a, b, false)?);
            }
            let any = if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Or(parts) };
            return Ok(if not { Expr::Not(Box::new(any)) } else { any });
        }
        let left = self.expr(a)?;
        let right = self.expr(b)?;
        let call = self.equality(left, right, at)?;
        Ok(Expr::Distinct(call.function, pair(call.args)?, not))
    }

    fn in_list(&mut self, e: &sq::Expr, list: &[sq::Expr], negated: bool) -> Result<Expr> {
        let at = self.operator_at(e);
        if row_items(e).is_some() {
            let mut parts = Vec::with_capacity(list.len());
            for item in list {
                parts.push(match (row_items(e), row_items(item)) {
                    (Some(a), Some(b)) => self.row_comparison(&Op::Eq, a, b, e)?,
                    // A value that is a row.
                    _ => {
                        let (left, right) = (self.expr(e)?, self.expr(item)?);
                        self.operator("=", left, right, at)?
                    }
                });
            }
            let any = if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Or(parts) };
            return Ok(if negated { Expr::Not(Box::new(any)) } else { any });
        }
        let left = self.expr(e)?;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(self.expr(item)?);
        }
        let constant = |e: &Expr| matches!(e, Expr::Const(..) | Expr::Param(..) | Expr::Slot(..));
        // Constants of one type become an array; anything else is a row of comparisons.
        if items.len() > 1 && items.iter().all(constant) {
            let mut types: Vec<SqlType> = vec![left.ty()];
            types.extend(items.iter().map(Expr::ty));
            if let Ok(common) = self.common_type(&types, "IN", at)
                && typeinfo::array_of(common.oid) != 0
            {
                let element = SqlType::new(common.oid);
                let mut elements = Vec::with_capacity(items.len());
                for item in items {
                    elements.push(self.implicit(item, element, at)?);
                }
                let array = Expr::Array(elements, false, SqlType::new(typeinfo::array_of(element.oid)));
                let any = self.scalar_array(if negated { "<>" } else { "=" }, left, array, !negated, at)?;
                return Ok(any);
            }
        }
        let mut parts = Vec::with_capacity(items.len());
        for item in items {
            let name = if negated { "<>" } else { "=" };
            parts.push(self.operator(name, left.clone(), item, at)?);
        }
        Ok(match (parts.len(), negated) {
            (1, _) => parts.swap_remove(0),
            (_, true) => Expr::And(parts),
            (_, false) => Expr::Or(parts),
        })
    }

    fn between(&mut self, e: &sq::Expr, negated: bool, low: &sq::Expr, high: &sq::Expr) -> Result<Expr> {
        let at = self.operator_at(e);
        let value = self.expr(e)?;
        let low = self.expr(low)?;
        let high = self.expr(high)?;
        let (first, second) = if negated { ("<", ">") } else { (">=", "<=") };
        let a = self.operator(first, value.clone(), low, at)?;
        let b = self.operator(second, value, high, at)?;
        Ok(if negated { Expr::Or(vec![a, b]) } else { Expr::And(vec![a, b]) })
    }

    #[inline(never)]
    fn case(
        &mut self,
        operand: Option<&sq::Expr>,
        conditions: &[sq::CaseWhen],
        otherwise: Option<&sq::Expr>,
        at: u32,
    ) -> Result<Expr> {
        let sets = self.frame()?.set_calls.0;
        let mark = self.collation_mark();
        let operand = operand.map(|o| self.settled(o)).transpose()?;
        self.forget_collations(mark);
        let mut whens = Vec::with_capacity(conditions.len());
        for when in conditions {
            let position = start(&when.condition);
            let mark = self.collation_mark();
            let condition = self.expr(&when.condition)?;
            let condition = match &operand {
                Some(operand) => self.operator("=", operand.clone(), condition, position)?,
                None => self.boolean(condition, "CASE/WHEN", position)?,
            };
            self.forget_collations(mark);
            whens.push((condition, self.expr(&when.result)?));
        }
        let otherwise = match otherwise {
            Some(e) => self.expr(e)?,
            None => Expr::Const(Value::Null, SqlType::new(oid::UNKNOWN)),
        };
        self.no_sets_since(sets, "CASE")?;
        // PostgreSQL looks at ELSE first.
        let mut types = vec![otherwise.ty()];
        types.extend(whens.iter().map(|(_, v)| v.ty()));
        let ty = self.common_type(&types, "CASE", at)?;
        let mut coerced = Vec::with_capacity(whens.len());
        for (condition, value) in whens {
            coerced.push((condition, self.coerce_to_common(value, ty, "CASE/WHEN", at)?));
        }
        let otherwise = self.coerce_to_common(otherwise, ty, "CASE/ELSE", at)?;
        let case = Expr::Case(Box::new(Case { whens: coerced, otherwise, ty }));
        if let Some(operand) = operand {
            self.note(&case, || Note::Operand(operand));
        }
        Ok(case)
    }

    pub(super) fn data_type(&mut self, ty: &sq::DataType) -> Result<SqlType> {
        super::types::resolve(ty, self.catalog)
    }

    /// `ROW(a, b)`.
    fn row(&mut self, items: &[sq::Expr]) -> Result<Expr> {
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            match item {
                // Its columns, one by one.
                sq::Expr::QualifiedWildcard(..) => match self.expr(item)? {
                    Expr::Row(columns, ..) => fields.extend(columns),
                    one => fields.push(one),
                },
                item => fields.push(self.settled(item)?),
            }
        }
        Ok(Expr::Row(fields, None, SqlType::new(oid::RECORD)))
    }

    /// Comparison of two row constructors, column by column.
    pub(super) fn row_comparison(
        &mut self,
        op: &Op,
        a: &[sq::Expr],
        b: &[sq::Expr],
        left: &sq::Expr,
    ) -> Result<Expr> {
        let at = self.operator_at(left);
        if a.len() != b.len() {
            return Err(SqlError::syntax("unequal number of entries in row expressions").at(at));
        }
        let mut pairs = Vec::with_capacity(a.len());
        for (x, y) in a.iter().zip(b) {
            let mark = self.collation_mark();
            let pair = (self.expr(x)?, self.expr(y)?);
            self.forget_collations(mark);
            pairs.push(pair);
        }
        self.row_operator(&Self::operator_name(op)?, pairs, at)
    }

    /// `(a1, a2) op (b1, b2)`.
    pub(super) fn row_operator(&mut self, name: &str, pairs: Vec<(Expr, Expr)>, at: u32) -> Result<Expr> {
        let join = |mut parts: Vec<Expr>, and: bool| match parts.len() {
            1 => parts.swap_remove(0),
            _ if and => Expr::And(parts),
            _ => Expr::Or(parts),
        };
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        if pairs.is_empty() {
            let text = "cannot compare rows of zero length";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(at));
        }
        match name {
            "=" | "<>" => {
                let mut parts = Vec::with_capacity(pairs.len());
                for (x, y) in pairs {
                    parts.push(self.operator(name, x, y, at)?);
                }
                Ok(join(parts, name == "="))
            }
            "<" | "<=" | ">" | ">=" => {
                // a1 < b1 OR (a1 = b1 AND (a2 op b2 ...)), built from the last column outward.
                let strict = name.get(..1).unwrap_or("<");
                let mut result: Option<Expr> = None;
                let sides: (Vec<Expr>, Vec<Expr>) =
                    if self.recording() { pairs.iter().cloned().unzip() } else { Default::default() };
                for (x, y) in pairs.into_iter().rev() {
                    result = Some(match result {
                        None => self.operator(name, x, y, at)?,
                        Some(rest) => {
                            let before = self.operator(strict, x.clone(), y.clone(), at)?;
                            let equal = self.operator("=", x, y, at)?;
                            Expr::Or(vec![before, Expr::And(vec![equal, rest])])
                        }
                    });
                }
                let result = result.ok_or_else(|| SqlError::internal("a comparison of nothing"))?;
                if sides.0.len() > 1 {
                    self.note(&result, || Note::Rows(name.into(), sides.0, sides.1));
                }
                Ok(result)
            }
            _ if pairs.len() == 1 => match pairs.into_iter().next() {
                Some((x, y)) => self.operator(name, x, y, at),
                None => Err(SqlError::internal("a comparison of nothing")),
            },
            _ => {
                // First of all there must be such operators.
                for (x, y) in pairs {
                    let found = self.operator(name, x, y, at)?.ty();
                    if found.oid != oid::BOOL {
                        let text = format!(
                            "row comparison operator must yield type boolean, not type {}",
                            show(found)
                        );
                        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text).at(at));
                    }
                }
                let text = format!("could not determine interpretation of row comparison operator {name}");
                let hint = "Row comparison operators must be associated with btree operator families.";
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint(hint).at(at))
            }
        }
    }

    /// Subscripts and field selections.
    fn access(&mut self, root: &sq::Expr, chain: &[sq::AccessExpr]) -> Result<Expr> {
        // a.b[1]: leading names belong to the column.
        let mut names: Vec<sq::Ident> = match root {
            sq::Expr::Identifier(ident) => vec![ident.clone()],
            sq::Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => Vec::new(),
        };
        let mut rest = chain;
        if !names.is_empty() {
            while let [sq::AccessExpr::Dot(sq::Expr::Identifier(ident)), tail @ ..] = rest {
                names.push(ident.clone());
                rest = tail;
            }
            if let [sq::AccessExpr::Dot(sq::Expr::Function(f)), tail @ ..] = rest {
                let mut f = f.clone();
                let mut parts: Vec<sq::ObjectNamePart> =
                    names.drain(..).map(sq::ObjectNamePart::Identifier).collect();
                parts.append(&mut f.name.0);
                f.name = sq::ObjectName(parts);
                let call = self.function(&f)?;
                return self.subscripts(call, tail, start(root));
            }
        }
        let base = match names.as_slice() {
            [] => self.expr(root)?,
            [one] => self.identifier(one)?,
            many => self.compound(many)?,
        };
        self.subscripts(base, rest, start(root))
    }

    fn subscripts(&mut self, mut base: Expr, chain: &[sq::AccessExpr], at: u32) -> Result<Expr> {
        let mut rest = chain;
        while let Some((first, tail)) = rest.split_first() {
            if let sq::AccessExpr::Dot(field) = first {
                base = self.field(base, field, at)?;
                rest = tail;
                continue;
            }
            let dot = rest.iter().position(|a| matches!(a, sq::AccessExpr::Dot(_))).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(dot);
            let (indices, slice) = self.indices(base.ty(), run, at)?;
            base = self.subscript(base, indices, slice, at)?;
            rest = tail;
        }
        Ok(base)
    }

    pub(super) fn index(&mut self, index: &sq::Expr) -> Result<Expr> {
        let at = start(index);
        let e = self.expr(index)?;
        let from = e.ty();
        let int = SqlType::new(oid::INT4);
        self.try_coerce(e, int, pg_functions::CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("array subscript must have type integer, not type {}", show(from)),
            )
            .at(at)
        })
    }

    /// `name[i]`: a letter, counted from 0.
    fn letter_of_name(&mut self, name: Expr, index: Expr, at: u32) -> Result<Expr> {
        use pg_plan::expr::{Call, Case};
        let constant = |n| Expr::Const(pg_types::Value::Int4(n), SqlType::new(oid::INT4));
        let explicit = pg_functions::CastContext::Explicit;
        let lost = || SqlError::internal("no cast of a name");
        let text = self.try_coerce(name, SqlType::new(oid::TEXT), explicit)?.ok_or_else(lost)?;
        let place = self.operator("+", index, constant(1), at)?;
        let ty = SqlType::new(oid::TEXT);
        let function = self.known("substr", &[oid::TEXT, oid::INT4, oid::INT4])?;
        let letter = Expr::Call(Box::new(Call { function, args: alloc::vec![text, place, constant(1)], ty }));
        let empty = Expr::Const(pg_types::Value::text(""), ty);
        let outside = self.operator("=", letter.clone(), empty, at)?;
        let ty = SqlType::new(oid::CHAR);
        let otherwise = self.try_coerce(letter, ty, explicit)?.ok_or_else(lost)?;
        let null = Expr::Const(pg_types::Value::Null, ty);
        Ok(Expr::Case(Box::new(Case { whens: alloc::vec![(outside, null)], otherwise, ty })))
    }

    fn subscript(
        &mut self,
        array: Expr,
        indices: Vec<(Option<Expr>, Option<Expr>)>,
        slice: bool,
        at: u32,
    ) -> Result<Expr> {
        let from = array.ty();
        if from.oid == oid::NAME
            && let [(None, Some(index))] = indices.as_slice()
        {
            let index = index.clone();
            return self.letter_of_name(array, index, at);
        }
        let element = if from.oid == oid::NAME { 0 } else { typeinfo::subscript_of(from.oid) };
        let ty = if slice || from.oid == oid::JSONB {
            from
        } else if element == 0 {
            return Err(SqlError::unsupported("such a subscript of a name").at(at));
        } else {
            SqlType::with_typmod(element, from.typmod)
        };
        Ok(Expr::Subscript(Box::new(Subscript { array, indices, slice, assign: None, ty })))
    }

    /// A field of a FROM item's row is its column, where the text of the query is wanted.
    pub(super) fn column_of_row(&self, row: &Expr, n: usize) -> Option<Expr> {
        match row {
            Expr::Row(items, ..) if matches!(self.noted(row), Some(Note::WholeRow)) => items.get(n).cloned(),
            _ => None,
        }
    }

    /// `(record).field`.
    fn field(&mut self, base: Expr, field: &sq::Expr, at: u32) -> Result<Expr> {
        let sq::Expr::Identifier(ident) = field else {
            return Err(SqlError::unsupported("field selection by an expression").at(at));
        };
        if ident.value == crate::grammar::ALL_FIELDS {
            return Err(SqlError::unsupported("expansion of a composite value in an expression").at(at));
        }
        let field =
            self.shape(&base).into_iter().flatten().zip(0..).find(|((name, _), _)| *name == ident.value);
        if let Some(((_, ty), i)) = field {
            if let Some(column) = self.column_of_row(&base, i as usize) {
                return Ok(column);
            }
            return Ok(Expr::Field(Box::new(base), i, ty));
        }
        if pg_types::user::is_composite(base.ty().oid) {
            return self.composite_field(base, &ident.value, super::scope::at(ident));
        }
        if base.ty().oid == oid::RECORD {
            if ident.value == super::search::DEPTH {
                return Ok(Expr::Field(Box::new(base), 0, SqlType::new(oid::INT8)));
            }
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("could not identify column \"{}\" in record data type", ident.value),
            )
            .at(at));
        }
        Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!(
                "column notation .{} applied to type {}, which is not a composite type",
                ident.value,
                show(base.ty())
            ),
        )
        .at(at))
    }
}

/// The items of a row constructor of two or more (or ROW of any number).
pub(super) fn row_items(expr: &sq::Expr) -> Option<&[sq::Expr]> {
    match expr {
        sq::Expr::Tuple(items) => Some(items),
        sq::Expr::Nested(inner) => row_items(inner).filter(|_| matches!(**inner, sq::Expr::Tuple(_))),
        _ => None,
    }
}

/// Two arguments as a pair.
pub(super) fn pair(args: Vec<Expr>) -> Result<Box<[Expr; 2]>> {
    let args: Result<Box<[Expr; 2]>, _> = args.into_boxed_slice().try_into();
    args.map_err(|_| SqlError::internal("operator without two operands"))
}
