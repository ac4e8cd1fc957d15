//! Names: similarity for hints, and the names that result columns get.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use sqlparser::ast as sq;

/// The greatest edit distance of what a hint names.
pub(super) const FARTHEST: usize = 3;

/// Edit distance when it is small enough for a hint: at most 3, and less than half the name's length.
pub(super) fn distance(wanted: &str, candidate: &str) -> Option<usize> {
    edits(wanted, candidate).filter(|d| *d <= wanted.chars().count() / 2)
}

/// Edit distance when it is at most 3.
pub(super) fn edits(wanted: &str, candidate: &str) -> Option<usize> {
    if wanted.len() > 63 || candidate.len() > 63 {
        return None;
    }
    let b: Vec<char> = candidate.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in wanted.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, d) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(0);
            let left = row.get(j).copied().unwrap_or(0);
            let cost = (diagonal + usize::from(c != *d)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j + 1) {
                *cell = cost;
            }
        }
    }
    row.last().copied().filter(|d| *d <= FARTHEST)
}

/// The name a result column gets from its expression, and whether it is a good one (a cast's type name is not).
pub(super) fn column_name(expr: &sq::Expr) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_string(), true));
    match expr {
        sq::Expr::Identifier(ident) => good(&ident.value),
        // A row as a value is called like its table.
        sq::Expr::CompoundIdentifier(parts) => {
            good(&parts.iter().rev().find(|p| p.value != crate::grammar::stars::WHOLE_ROW)?.value)
        }
        sq::Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|a| match a {
                sq::AccessExpr::Dot(sq::Expr::Identifier(ident)) => Some(ident.value.clone()),
                sq::AccessExpr::Dot(sq::Expr::Function(f)) => function_name(f),
                _ => None,
            });
            field.map(|f| (f, true)).or_else(|| column_name(root))
        }
        sq::Expr::Function(f) => Some((function_name(f)?, true)),
        sq::Expr::Nested(inner) | sq::Expr::Collate { expr: inner, .. } => column_name(inner),
        sq::Expr::Cast { expr, data_type, .. } => match column_name(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type)?, false)),
        },
        sq::Expr::Prefixed { prefix, .. } if prefix.value == crate::dialect::COLLATION_FOR => {
            Some(("pg_collation_for".to_string(), true))
        }
        sq::Expr::TypedString(typed) => Some((type_name(&typed.data_type)?, false)),
        sq::Expr::Interval(_) => Some(("interval".to_string(), false)),
        sq::Expr::Value(v) => match v.value {
            sq::Value::Boolean(_) => Some(("bool".to_string(), false)),
            _ => None,
        },
        sq::Expr::Case { else_result, .. } => match else_result.as_ref().and_then(|e| column_name(e)) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_string(), false)),
        },
        sq::Expr::BinaryOp { op: sq::BinaryOperator::Overlaps, .. } => good("overlaps"),
        sq::Expr::Exists { negated: false, .. } => good("exists"),
        sq::Expr::Subquery(query) => subquery_name(query),
        sq::Expr::Array(_) => good("array"),
        sq::Expr::Tuple(_) => good("row"),
        sq::Expr::Extract { .. } => good("extract"),
        sq::Expr::Position { .. } => good("position"),
        sq::Expr::Substring { .. } => good("substring"),
        sq::Expr::Overlay { .. } => good("overlay"),
        sq::Expr::AtTimeZone { .. } => good("timezone"),
        sq::Expr::Ceil { .. } => good("ceil"),
        sq::Expr::Floor { .. } => good("floor"),
        sq::Expr::Trim { trim_where, .. } => good(match trim_where {
            Some(sq::TrimWhereField::Leading) => "ltrim",
            Some(sq::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        _ => None,
    }
}

fn function_name(f: &sq::Function) -> Option<String> {
    match f.name.0.last()? {
        sq::ObjectNamePart::Identifier(ident) => Some(ident.value.clone()),
        sq::ObjectNamePart::Function(_) => None,
    }
}

fn subquery_name(query: &sq::Query) -> Option<(String, bool)> {
    match &*query.body {
        sq::SetExpr::Select(select) => match select.projection.first()? {
            sq::SelectItem::UnnamedExpr(expr) => column_name(expr),
            sq::SelectItem::ExprWithAlias { alias, .. } => Some((alias.value.clone(), true)),
            _ => None,
        },
        sq::SetExpr::Query(inner) => subquery_name(inner),
        sq::SetExpr::Values(_) => Some(("column1".to_string(), true)),
        _ => None,
    }
}

/// The name a cast to this type gives.
fn type_name(ty: &sq::DataType) -> Option<String> {
    use sq::DataType as D;
    Some(match ty {
        D::Custom(name, _) => match name.0.last()? {
            sq::ObjectNamePart::Identifier(ident) if ident.quote_style.is_some() => ident.value.clone(),
            sq::ObjectNamePart::Identifier(ident) => ident.value.to_ascii_lowercase(),
            sq::ObjectNamePart::Function(_) => return None,
        },
        D::Array(
            sq::ArrayElemTypeDef::SquareBracket(inner, _) | sq::ArrayElemTypeDef::Qualified(inner, _),
        ) => {
            return type_name(inner);
        }
        D::Character(_) | D::Char(_) => "bpchar".to_string(),
        D::CharacterVarying(_) | D::CharVarying(_) | D::Varchar(_) => "varchar".to_string(),
        D::Numeric(_) | D::Decimal(_) | D::Dec(_) => "numeric".to_string(),
        D::Int(_) | D::Integer(_) | D::Int4(_) => "int4".to_string(),
        D::BigInt(_) | D::Int8(_) => "int8".to_string(),
        D::SmallInt(_) | D::Int2(_) => "int2".to_string(),
        D::Float(_) | D::DoublePrecision | D::Float8 => "float8".to_string(),
        D::Real | D::Float4 => "float4".to_string(),
        D::Bool | D::Boolean => "bool".to_string(),
        D::Time(_, tz) => zoned("time", tz),
        D::Timestamp(_, tz) => zoned("timestamp", tz),
        D::Interval { .. } => "interval".to_string(),
        D::Bit(_) => "bit".to_string(),
        D::BitVarying(_) | D::VarBit(_) => "varbit".to_string(),
        other => alloc::format!("{other}").to_ascii_lowercase(),
    })
}

fn zoned(base: &str, tz: &sq::TimezoneInfo) -> String {
    match tz {
        sq::TimezoneInfo::WithTimeZone | sq::TimezoneInfo::Tz => alloc::format!("{base}tz"),
        _ => base.to_string(),
    }
}
