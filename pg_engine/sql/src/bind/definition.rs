//! CREATE AGGREGATE, OPERATOR and CAST: types resolved, functions found and checked.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_catalog::Argument;
use pg_functions::{FunctionKind, registry};
use pg_plan::{
    definition::{self as d, Definition},
    expr::Expr,
    utility::{ObjectName, Utility},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo};
use sqlparser::ast as sq;

use super::{
    Binder,
    coerce::{Pathway, pathway},
    resolve::{self, Resolution},
    routine::{Callable, Given},
    types::{is_polymorphic, show},
};
use crate::{
    ast::{NameAt, TypeRef},
    grammar::definition::{
        AlterOperator, Arguments, CastBy, CastTypes, DefinitionStatement, Item, OperatorSignature, Value,
    },
};

/// 42P17.
fn unfit(text: &'static str) -> SqlError {
    SqlError::new(SqlState(*b"42P17"), text)
}

/// 42P13.
fn invalid(text: impl Into<alloc::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState(*b"42P13"), text)
}

fn mismatch(text: String) -> SqlError {
    SqlError::new(SqlState::DATATYPE_MISMATCH, text)
}

fn named(ty: Oid) -> String {
    show(SqlType::new(ty))
}

/// A name as messages show it.
fn shown(name: &ObjectName) -> String {
    match &name.schema {
        Some(s) => format!("{s}.{}", name.name),
        None => name.name.clone(),
    }
}

fn no_function(name: &ObjectName, types: &[Oid]) -> SqlError {
    let types: Vec<String> = types.iter().map(|t| named(*t)).collect();
    let text = format!("function {}({}) does not exist", shown(name), types.join(", "));
    SqlError::new(SqlState::UNDEFINED_FUNCTION, text)
}

/// A function that a definition names.
struct Support {
    oid: Oid,
    inputs: Vec<Oid>,
    result: Oid,
    strict: bool,
    set: bool,
}

/// What the items of CREATE AGGREGATE say.
#[derive(Default)]
struct Items<'i> {
    list: Vec<(&'i str, &'i Item)>,
}

impl<'i> Items<'i> {
    fn get(&self, name: &str) -> Option<&'i Item> {
        self.list.iter().rev().find(|i| i.0 == name).map(|i| i.1)
    }
    fn function(&self, name: &str) -> Result<Option<ObjectName>> {
        let Some(item) = self.get(name) else { return Ok(None) };
        match &item.value {
            Value::Name(n) => Ok(Some(n.name.clone())),
            Value::Text(t) => Ok(Some(ObjectName { schema: None, name: t.clone() })),
            Value::None | Value::Operator(_) | Value::Type(_) | Value::Nothing => Err(needs(name, "a name")),
        }
    }
    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name).map(|i| &i.value) {
            None => Ok(None),
            Some(Value::Text(t)) => Ok(Some(t.clone())),
            Some(Value::None) => Ok(Some("none".into())),
            Some(_) => Err(needs(name, "a parameter")),
        }
    }
    fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name).map(|i| &i.value) {
            None => Ok(false),
            Some(Value::Nothing) => Ok(true),
            Some(Value::Text(t)) if matches!(t.as_str(), "true" | "on" | "1") => Ok(true),
            Some(Value::Text(t)) if matches!(t.as_str(), "false" | "off" | "0") => Ok(false),
            Some(_) => Err(needs(name, "a Boolean value")),
        }
    }
    fn number(&self, name: &str) -> Result<i32> {
        match self.text(name)? {
            None => Ok(0),
            Some(t) => t.parse().map_err(|_| needs(name, "an integer value")),
        }
    }
}

fn needs(name: &str, what: &str) -> SqlError {
    SqlError::syntax(format!("{name} requires {what}"))
}

const AGGREGATE_ITEMS: [&str; 24] = [
    "sfunc",
    "sfunc1",
    "finalfunc",
    "combinefunc",
    "serialfunc",
    "deserialfunc",
    "msfunc",
    "minvfunc",
    "mfinalfunc",
    "finalfunc_extra",
    "mfinalfunc_extra",
    "finalfunc_modify",
    "mfinalfunc_modify",
    "sortop",
    "basetype",
    "hypothetical",
    "stype",
    "stype1",
    "sspace",
    "mstype",
    "msspace",
    "initcond",
    "initcond1",
    "minitcond",
];

impl Binder<'_> {
    /// Any statement about these objects.
    pub(super) fn definition(&mut self, s: &DefinitionStatement) -> Result<Utility> {
        Ok(Utility::Definition(Box::new(match s {
            DefinitionStatement::CreateAggregate { name, or_replace, arguments, items } => {
                let made = self.create_aggregate(name, *or_replace, arguments.as_ref(), items)?;
                Definition::CreateAggregate(Box::new(made))
            }
            DefinitionStatement::CreateOperator { name, items } => {
                Definition::CreateOperator(Box::new(self.create_operator(name, items)?))
            }
            DefinitionStatement::AlterOperator(name, change) => {
                Definition::AlterOperator(self.operator_ref(name, false)?, self.alter_operator(change)?)
            }
            DefinitionStatement::DropOperators { names, if_exists, cascade } => Definition::DropOperators {
                names: names.iter().map(|n| self.operator_ref(n, *if_exists)).collect::<Result<_>>()?,
                if_exists: *if_exists,
                cascade: *cascade,
            },
            DefinitionStatement::CommentOperator(name, text) => {
                Definition::CommentOperator(self.operator_ref(name, false)?, text.clone())
            }
            DefinitionStatement::CreateCast { types, method, context } => {
                let mut made = self.create_cast(types, method)?;
                made.context = *context;
                Definition::CreateCast(made)
            }
            DefinitionStatement::DropCast { types, if_exists, cascade } => {
                let types = match self.cast_types(types) {
                    Ok(types) => Ok(types),
                    Err(e) if *if_exists && e.state() == SqlState::UNDEFINED_OBJECT => {
                        Err(e.message().into())
                    }
                    Err(e) => return Err(e),
                };
                Definition::DropCast { types, if_exists: *if_exists, cascade: *cascade }
            }
            DefinitionStatement::CommentCast(types, text) => {
                Definition::CommentCast(self.cast_types(types)?, text.clone())
            }
            DefinitionStatement::CreateStatistics(s) => Definition::Statistics(self.create_statistics(s)?),
        })))
    }

    fn a_type(&mut self, (ty, at): &(sq::DataType, u32)) -> Result<Oid> {
        Ok(self.data_type(ty).map_err(|e| e.at(*at))?.oid)
    }

    /// A function that takes exactly these types.
    fn exact_function(&mut self, name: &ObjectName, types: &[Oid]) -> Result<Support> {
        let schema = name.schema.as_deref();
        let found = self.routines_named(schema, &name.name)?.into_iter().find(|r| r.inputs == types);
        if let Some(r) = found {
            return Ok(Support {
                oid: r.oid,
                inputs: r.inputs.clone(),
                result: r.result,
                strict: r.strict,
                set: r.set,
            });
        }
        if matches!(schema, None | Some("pg_catalog")) {
            let builtin = registry().functions_named(&name.name).iter().find(|f| f.args == types);
            if let Some(f) = builtin {
                let set = f.kind == FunctionKind::Set;
                let inputs = types.to_vec();
                return Ok(Support { oid: f.oid, inputs, result: f.result, strict: f.strict, set });
            }
            if let Some(found) = pg_catalog::builtin::estimators::find(&name.name, types) {
                let inputs = types.to_vec();
                return Ok(Support { oid: found, inputs, result: oid::FLOAT8, strict: true, set: false });
            }
        }
        Err(no_function(name, types))
    }

    /// A function that takes values of these types as they are.
    fn support(&mut self, name: &ObjectName, types: &[Oid], variadic: bool) -> Result<Support> {
        let schema = name.schema.as_deref();
        let routines = self.routines_named(schema, &name.name)?;
        let builtin = matches!(schema, None | Some("pg_catalog")).then_some(name.name.as_str());
        let exprs = types.iter().map(|t| Expr::Column(0, SqlType::new(*t))).collect();
        let mut given = Given { exprs, names: types.iter().map(|_| None).collect(), variadic: false };
        let mut all = self.all_candidates(&routines, builtin, &given)?;
        // A variadic parameter takes an array as it is, or anything.
        let any = |c: &resolve::Candidate<Callable>| variadic && c.args.last() == Some(&oid::ANY);
        all.retain(|c| c.defaulted == 0 && (!c.spread || any(c)));
        given.variadic = true;
        all.extend(self.all_candidates(&routines, builtin, &given)?);
        let candidate = match resolve::pick(all, types, &self.casts) {
            Resolution::One(c) => c,
            _ => return Err(no_function(name, types)),
        };
        let (oid, result, strict, set) = match &candidate.what {
            Callable::Builtin(f) if matches!(f.kind, FunctionKind::Scalar | FunctionKind::Set) => {
                (f.oid, f.result, f.strict, f.kind == FunctionKind::Set)
            }
            Callable::Routine(r, _) if r.kind == pg_catalog::RoutineKind::Function => {
                (r.oid, r.result, r.strict, r.set)
            }
            _ => return Err(no_function(name, types)),
        };
        if set {
            return Err(mismatch(format!("function {} returns a set", shown(name))));
        }
        let open = types.iter().any(|t| is_polymorphic(*t));
        let actual: Vec<SqlType> = types.iter().map(|t| SqlType::new(*t)).collect();
        let result = match open {
            // The definition is as open as the function.
            true if candidate.args == types => result,
            _ => resolve::polymorphic(&candidate.args, &actual, result, &self.casts)?.1,
        };
        let converts = |(want, have): (&Oid, &Oid)| {
            let way = pathway(*have, *want, pg_functions::CastContext::Implicit, &self.casts);
            !is_polymorphic(*want)
                && *want != oid::ANY
                && !matches!(way, Some(Pathway::Same | Pathway::Relabel))
        };
        if candidate.args.iter().zip(types).any(converts) {
            let declared: Vec<String> = candidate.args.iter().map(|t| named(*t)).collect();
            let text =
                format!("function {}({}) requires run-time type coercion", shown(name), declared.join(", "));
            return Err(mismatch(text));
        }
        Ok(Support { oid, inputs: candidate.args, result, strict, set })
    }

    fn create_aggregate(
        &mut self,
        name: &NameAt,
        or_replace: bool,
        arguments: Option<&Arguments>,
        items: &[Item],
    ) -> Result<d::CreateAggregate> {
        let mut made =
            d::CreateAggregate { name: name.name.clone(), or_replace, ..d::CreateAggregate::default() };
        let mut known = Items::default();
        for item in items {
            let word = match item.name.as_str() {
                "sfunc1" => "sfunc",
                "stype1" => "stype",
                "initcond1" => "initcond",
                word => word,
            };
            if AGGREGATE_ITEMS.contains(&word) || word == "parallel" {
                known.list.push((word, item));
            } else {
                made.warnings.push(format!("aggregate attribute \"{word}\" not recognized"));
            }
        }
        let ordered = arguments.is_some_and(|a| a.ordered.is_some());
        if known.flag("hypothetical")? && !ordered {
            return Err(invalid("only ordered-set aggregates can be hypothetical"));
        }
        // What is missing is said before types are looked for.
        let missing = |item: &str, text: &'static str| match known.get(item) {
            Some(_) => Ok(()),
            None => Err(invalid(text)),
        };
        missing("stype", "aggregate stype must be specified")?;
        missing("sfunc", "aggregate sfunc must be specified")?;
        if known.get("mstype").is_some() {
            missing("msfunc", "aggregate msfunc must be specified when mstype is specified")?;
            missing("minvfunc", "aggregate minvfunc must be specified when mstype is specified")?;
        } else {
            for item in ["msfunc", "minvfunc", "mfinalfunc", "msspace", "minitcond"] {
                if known.get(item).is_some() {
                    return Err(invalid(format!("aggregate {item} must not be specified without mstype")));
                }
            }
        }
        made.modify = modify(&known, "finalfunc_modify")?;
        made.moving_modify = modify(&known, "mfinalfunc_modify")?;
        self.aggregate_arguments(&mut made, arguments, &known)?;
        if ordered {
            return Err(SqlError::unsupported("CREATE AGGREGATE of an ordered-set aggregate"));
        }
        self.aggregate_states(&mut made, &known)?;
        self.aggregate_functions(&mut made, &known)?;
        Ok(made)
    }

    fn aggregate_arguments(
        &mut self,
        made: &mut d::CreateAggregate,
        arguments: Option<&Arguments>,
        known: &Items<'_>,
    ) -> Result<()> {
        let base = known.get("basetype");
        let Some(arguments) = arguments else {
            let Some(base) = base else { return Err(invalid("aggregate input type must be specified")) };
            let ty = match &base.value {
                Value::Text(t) if t.eq_ignore_ascii_case("any") => return Ok(()),
                Value::Type(t) => self.plain_ref(t)?,
                _ => return Err(needs("basetype", "a type name")),
            };
            if ty != oid::ANY {
                made.arguments.push(Argument { name: String::new(), ty, mode: b'i' });
            }
            return Ok(());
        };
        if base.is_some() {
            return Err(invalid("basetype is redundant with aggregate input type specification"));
        }
        for p in arguments.direct.iter().chain(arguments.ordered.iter().flatten()) {
            let mode = p.mode.unwrap_or(b'i');
            if !matches!(mode, b'i' | b'v') {
                return Err(SqlError::unsupported("aggregates cannot have output arguments"));
            }
            if p.ty.set {
                return Err(invalid("aggregates cannot accept set arguments"));
            }
            if made.variadic != 0 {
                return Err(invalid("VARIADIC parameter must be the last input parameter"));
            }
            if p.default.is_some() {
                return Err(invalid("only functions and procedures can have default values").at(p.ty.at));
            }
            let ty = self.plain_ref(&p.ty)?;
            if mode == b'v' {
                made.variadic = match ty {
                    oid::ANY => oid::ANY,
                    oid::ANYARRAY => oid::ANYELEMENT,
                    oid::ANYCOMPATIBLEARRAY => oid::ANYCOMPATIBLE,
                    other => super::body::element(other),
                };
                if made.variadic == 0 {
                    return Err(invalid("VARIADIC parameter must be an array"));
                }
            }
            if !p.name.is_empty() && made.arguments.iter().any(|a| a.name == p.name) {
                return Err(invalid(format!("parameter name \"{}\" used more than once", p.name)));
            }
            made.arguments.push(Argument { name: p.name.clone(), ty, mode });
        }
        Ok(())
    }

    fn plain_ref(&mut self, t: &TypeRef) -> Result<Oid> {
        Ok(self.data_type(&t.ty).map_err(|e| e.at(t.at))?.oid)
    }

    fn aggregate_states(&mut self, made: &mut d::CreateAggregate, known: &Items<'_>) -> Result<()> {
        let mut state = |item: &str| -> Result<Oid> {
            let Some(found) = known.get(item) else { return Ok(0) };
            let Value::Type(t) = &found.value else { return Err(needs(item, "a type name")) };
            let ty = self.plain_ref(t)?;
            if typeinfo::get(ty).is_some_and(|t| t.kind == b'p') && !is_polymorphic(ty) {
                if ty == oid::INTERNAL {
                    return Err(SqlError::unsupported("aggregates with a state of type internal"));
                }
                let text = format!("aggregate transition data type cannot be {}", named(ty));
                return Err(invalid(text));
            }
            Ok(ty)
        };
        made.state = state("stype")?;
        made.moving_state = state("mstype")?;
        match (known.get("serialfunc"), known.get("deserialfunc")) {
            (None, None) => {}
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "serialization functions may be specified only when the aggregate transition data type is internal",
                ));
            }
            _ => {
                return Err(invalid(
                    "must specify both or neither of serialization and deserialization functions",
                ));
            }
        }
        made.space = known.number("sspace")?;
        made.moving_space = known.number("msspace")?;
        made.initial = known.text("initcond")?;
        made.moving_initial = known.text("minitcond")?;
        for (text, ty) in [(&made.initial, made.state), (&made.moving_initial, made.moving_state)] {
            if let Some(text) = text
                && !is_polymorphic(ty)
            {
                let plain = self.catalog.plain_type(SqlType::new(ty))?;
                self.read_literal(text, plain)?;
            }
        }
        made.parallel = match known.text("parallel")?.as_deref() {
            None | Some("unsafe") => b'u',
            Some("safe") => b's',
            Some("restricted") => b'r',
            Some(_) => {
                let text = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
                return Err(SqlError::syntax(text));
            }
        };
        let inputs: Vec<Oid> = made.arguments.iter().map(|a| a.ty).collect();
        for ty in [made.state, made.moving_state] {
            if is_polymorphic(ty) && !inputs.iter().any(|i| is_polymorphic(*i)) {
                let detail = match ty {
                    oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLEARRAY | oid::ANYCOMPATIBLENONARRAY => format!(
                        "A result of type {} requires at least one input of type anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or anycompatiblemultirange.",
                        named(ty)
                    ),
                    _ => format!(
                        "A result of type {} requires at least one input of type anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange.",
                        named(ty)
                    ),
                };
                return Err(invalid("cannot determine transition data type").detail(detail));
            }
        }
        Ok(())
    }

    fn aggregate_functions(&mut self, made: &mut d::CreateAggregate, known: &Items<'_>) -> Result<()> {
        let inputs: Vec<Oid> = made.arguments.iter().map(|a| a.ty).collect();
        let variadic = made.variadic == oid::ANY;
        let with = |state: Oid, more: &[Oid]| -> Vec<Oid> { [&[state], more].concat() };
        let returns = |what: &str, name: &ObjectName, f: &Support, ty: Oid| {
            if f.result == ty {
                return Ok(());
            }
            Err(mismatch(format!("return type of {what} {} is not {}", shown(name), named(ty))))
        };
        // Without a first state, the first row's argument becomes it.
        let fits = |f: &Support, initial: &Option<String>, state: Oid, binder: &Self| {
            if !f.strict || initial.is_some() {
                return Ok(());
            }
            let same = inputs.first().is_some_and(|i| {
                let way = pathway(*i, state, pg_functions::CastContext::Implicit, &binder.casts);
                *i == state || matches!(way, Some(Pathway::Same | Pathway::Relabel))
            });
            if same {
                return Ok(());
            }
            Err(invalid(
                "must not omit initial value when transition function is strict and transition type is not compatible with input type",
            ))
        };
        let Some(name) = known.function("sfunc")? else { return Ok(()) };
        let transition = self.support(&name, &with(made.state, &inputs), variadic)?;
        returns("transition function", &name, &transition, made.state)?;
        fits(&transition, &made.initial, made.state, self)?;
        made.transition = transition.oid;
        if let Some(name) = known.function("msfunc")? {
            let moving = self.support(&name, &with(made.moving_state, &inputs), variadic)?;
            returns("transition function", &name, &moving, made.moving_state)?;
            fits(&moving, &made.moving_initial, made.moving_state, self)?;
            made.moving = moving.oid;
            if let Some(name) = known.function("minvfunc")? {
                let inverse = self.support(&name, &with(made.moving_state, &inputs), variadic)?;
                returns("inverse transition function", &name, &inverse, made.moving_state)?;
                if inverse.strict != moving.strict {
                    return Err(invalid(
                        "strictness of aggregate's forward and inverse transition functions must match",
                    ));
                }
                made.inverse = inverse.oid;
            }
        }
        made.extra = known.flag("finalfunc_extra")?;
        made.moving_extra = known.flag("mfinalfunc_extra")?;
        let mut finish = |item: &str, state: Oid, extra: bool| -> Result<(Oid, Oid)> {
            let Some(name) = known.function(item)? else { return Ok((0, state)) };
            let more: &[Oid] = if extra { &inputs } else { &[] };
            let f = self.support(&name, &with(state, more), variadic)?;
            if extra && f.strict {
                return Err(invalid("final function with extra arguments must not be declared STRICT"));
            }
            Ok((f.oid, f.result))
        };
        (made.finish, made.result) = finish("finalfunc", made.state, made.extra)?;
        if made.moving != 0 {
            let (function, result) = finish("mfinalfunc", made.moving_state, made.moving_extra)?;
            made.moving_finish = function;
            if result != made.result {
                return Err(invalid(format!(
                    "moving-aggregate implementation returns type {}, but plain implementation returns type {}",
                    named(result),
                    named(made.result)
                )));
            }
        }
        if let Some(name) = known.function("combinefunc")? {
            let combine = self.support(&name, &[made.state, made.state], false)?;
            returns("combine function", &name, &combine, made.state)?;
            made.combine = combine.oid;
        }
        if is_polymorphic(made.result) && !inputs.iter().any(|i| is_polymorphic(*i)) {
            return Err(mismatch("cannot determine result data type".into()));
        }
        if let Some(item) = known.get("sortop") {
            let [input] = inputs.as_slice() else {
                let text = "sort operator can only be specified for single-argument aggregates";
                return Err(invalid(text));
            };
            let name = match &item.value {
                Value::Operator(o) => shown(o),
                Value::Name(n) => shown(&n.name),
                Value::Text(t) => t.clone(),
                _ => return Err(needs("sortop", "an operator")),
            };
            made.sort_operator = match self.find_operator(&name, Some(*input), *input)? {
                resolve::AnyOperator::Builtin(o) => o.oid,
                resolve::AnyOperator::User(o) => o.oid,
            };
        }
        Ok(())
    }

    fn create_operator(&mut self, name: &ObjectName, items: &[Item]) -> Result<d::CreateOperator> {
        const KNOWN: [&str; 11] = [
            "leftarg",
            "rightarg",
            "function",
            "procedure",
            "commutator",
            "negator",
            "restrict",
            "join",
            "hashes",
            "merges",
            "sort1",
        ];
        let mut warnings = Vec::new();
        let mut known = Items::default();
        for item in items {
            match item.name.as_str() {
                // What marked merge joins long ago.
                "sort1" | "sort2" | "ltcmp" | "gtcmp" => known.list.push(("merges", item)),
                "procedure" => known.list.push(("function", item)),
                word if KNOWN.contains(&word) => known.list.push((word, item)),
                word => warnings.push(format!("operator attribute \"{word}\" not recognized")),
            }
        }
        let mut operand = |item: &str| -> Result<Oid> {
            match known.get(item).map(|i| &i.value) {
                None | Some(Value::None) => Ok(0),
                Some(Value::Type(t)) if t.set => Err(invalid("SETOF type not allowed for operator argument")),
                Some(Value::Type(t)) => self.plain_ref(t),
                Some(_) => Err(needs(item, "a type name")),
            }
        };
        let (left, right) = (operand("leftarg")?, operand("rightarg")?);
        let Some(function) = known.function("function")? else {
            return Err(invalid("operator function must be specified"));
        };
        if left == 0 && right == 0 {
            return Err(invalid("operator argument types must be specified"));
        }
        if right == 0 {
            return Err(invalid("operator right argument type must be specified")
                .detail("Postfix operators are not supported."));
        }
        let types: Vec<Oid> = [left, right].into_iter().filter(|t| *t != 0).collect();
        let f = self.exact_function(&function, &types)?;
        let restrict = self.estimator(known.function("restrict")?, false)?;
        let join = self.estimator(known.function("join")?, true)?;
        let other = |item: &str| match known.get(item).map(|i| &i.value) {
            None => Ok(None),
            Some(Value::Operator(o)) => Ok(Some(o.clone())),
            Some(_) => Err(needs(item, "an operator")),
        };
        let made = d::CreateOperator {
            name: name.clone(),
            left,
            right,
            result: f.result,
            function: f.oid,
            commutator: other("commutator")?,
            negator: other("negator")?,
            restrict,
            join,
            hashes: known.flag("hashes")?,
            merges: known.list.iter().any(|i| i.0 == "merges" && i.1.name != "merges")
                || known.flag("merges")?,
            warnings,
        };
        checked_operator(&made)?;
        Ok(made)
    }

    /// The function that RESTRICT or JOIN names.
    fn estimator(&mut self, name: Option<ObjectName>, join: bool) -> Result<Oid> {
        let Some(name) = name else { return Ok(0) };
        let (word, short) = match join {
            true => ("join", [oid::INTERNAL, oid::OID, oid::INTERNAL, oid::INT2].as_slice()),
            false => ("restriction", [oid::INTERNAL, oid::OID, oid::INTERNAL, oid::INT4].as_slice()),
        };
        let long = [short, &[oid::INTERNAL]].concat();
        let found = match join {
            true => self.exact_function(&name, &long).or_else(|_| self.exact_function(&name, short))?,
            false => self.exact_function(&name, short)?,
        };
        if found.result != oid::FLOAT8 {
            let text =
                format!("{word} estimator function {} must return type double precision", shown(&name));
            return Err(invalid(text));
        }
        Ok(found.oid)
    }

    fn operator_ref(&mut self, s: &OperatorSignature, if_exists: bool) -> Result<d::OperatorRef> {
        let mut found = d::OperatorRef { name: s.name.clone(), left: 0, right: 0, missing: None };
        if s.right.is_none() {
            return Err(SqlError::syntax("postfix operators are not supported"));
        }
        for (given, left) in [(&s.left, true), (&s.right, false)] {
            let Some(given) = given else { continue };
            let ty = match self.a_type(given) {
                Ok(ty) => ty,
                Err(e) if if_exists && e.state() == SqlState::UNDEFINED_OBJECT => {
                    found.missing = Some(e.message().into());
                    return Ok(found);
                }
                Err(e) => return Err(e),
            };
            *(if left { &mut found.left } else { &mut found.right }) = ty;
        }
        Ok(found)
    }

    fn alter_operator(&mut self, change: &AlterOperator) -> Result<d::AlterOperator> {
        let items = match change {
            AlterOperator::Owner(role) => return Ok(d::AlterOperator::Owner(role.clone())),
            AlterOperator::SetSchema(schema) => return Ok(d::AlterOperator::SetSchema(schema.clone())),
            AlterOperator::Set(items) => items,
        };
        let (mut restrict, mut join) = (None, None);
        for item in items {
            let name = match &item.value {
                Value::Name(n) => Some(n.name.clone()),
                _ => None,
            };
            match item.name.as_str() {
                "restrict" => restrict = Some(self.estimator(name, false)?),
                "join" => join = Some(self.estimator(name, true)?),
                word @ ("leftarg" | "rightarg" | "function" | "procedure" | "commutator" | "negator"
                | "hashes" | "merges") => {
                    return Err(SqlError::syntax(format!("operator attribute \"{word}\" cannot be changed")));
                }
                word => {
                    return Err(SqlError::syntax(format!("operator attribute \"{word}\" not recognized")));
                }
            }
        }
        Ok(d::AlterOperator::Estimators { restrict, join })
    }

    fn cast_types(&mut self, types: &CastTypes) -> Result<(Oid, Oid)> {
        let [source, target] = &**types;
        Ok((self.a_type(source)?, self.a_type(target)?))
    }

    fn create_cast(&mut self, types: &CastTypes, method: &CastBy) -> Result<d::CreateCast> {
        let (source, target) = self.cast_types(types)?;
        let mut made = d::CreateCast {
            source,
            target,
            function: 0,
            through_text: matches!(method, CastBy::Text),
            context: pg_functions::CastContext::Explicit,
            warnings: Vec::new(),
        };
        for (ty, word) in [(source, "source"), (target, "target")] {
            if typeinfo::get(ty).is_some_and(|t| t.kind == b'p') {
                let text = format!("{word} data type {} is a pseudo-type", named(ty));
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            if pg_types::user::is_domain(ty) {
                made.warnings.push(format!("cast will be ignored because the {word} data type is a domain"));
            }
        }
        let mut takes = 0;
        match method {
            CastBy::Function(name) => {
                let types = match &name.args {
                    Some(list) => list.iter().map(|p| self.plain_ref(&p.ty)).collect::<Result<Vec<_>>>()?,
                    None => {
                        let all =
                            self.routines_named(name.name.name.schema.as_deref(), &name.name.name.name)?;
                        match all.as_slice() {
                            [one] => one.inputs.clone(),
                            _ => {
                                let text =
                                    format!("could not find a function named \"{}\"", shown(&name.name.name));
                                return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, text));
                            }
                        }
                    }
                };
                let f = self.exact_function(&name.name.name, &types)?;
                takes = f.inputs.len();
                made.function = f.oid;
                self.check_cast_function(&f, source, target)?;
            }
            CastBy::Nothing => self.check_relabel(source, target)?,
            CastBy::Text => {}
        }
        if source == target && takes < 2 {
            return Err(unfit("source data type and target data type are the same"));
        }
        Ok(made)
    }

    fn check_cast_function(&self, f: &Support, source: Oid, target: Oid) -> Result<()> {
        let same = |from: Oid, to: Oid| {
            let way = pathway(from, to, pg_functions::CastContext::Implicit, &self.casts);
            from == to || matches!(way, Some(Pathway::Same | Pathway::Relabel))
        };
        if !(1..=3).contains(&f.inputs.len()) {
            return Err(unfit("cast function must take one to three arguments"));
        }
        if f.inputs.first().is_none_or(|a| !same(source, *a)) {
            let text = "argument of cast function must match or be binary-coercible from source data type";
            return Err(unfit(text));
        }
        if f.inputs.get(1).is_some_and(|a| *a != oid::INT4) {
            return Err(unfit("second argument of cast function must be type integer"));
        }
        if f.inputs.get(2).is_some_and(|a| *a != oid::BOOL) {
            return Err(unfit("third argument of cast function must be type boolean"));
        }
        if !same(f.result, target) {
            let text =
                "return data type of cast function must match or be binary-coercible to target data type";
            return Err(unfit(text));
        }
        if f.set {
            return Err(unfit("cast function must not return a set"));
        }
        Ok(())
    }

    /// WITHOUT FUNCTION: are values of the two types stored alike?
    fn check_relabel(&self, source: Oid, target: Oid) -> Result<()> {
        use pg_types::{Physical, user};
        if !self.catalog.roles()?.is_superuser(self.catalog.user()) {
            let text = "must be superuser to create a cast WITHOUT FUNCTION";
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
        }
        let stored = |ty: Oid| typeinfo::get(ty).map(|t| (t.len, t.align));
        if Physical::of(source) != Physical::of(target) || stored(source) != stored(target) {
            return Err(unfit("source and target data types are not physically compatible"));
        }
        let either = |is: &dyn Fn(Oid) -> bool| is(source) || is(target);
        if either(&|t| user::is_composite(t)) {
            return Err(unfit("composite data types are not binary-compatible"));
        }
        if either(&|t| user::is_enum(t)) {
            return Err(unfit("enum data types are not binary-compatible"));
        }
        if either(&|t| typeinfo::element_of(t) != 0) {
            return Err(unfit("array data types are not binary-compatible"));
        }
        if either(&|t| user::is_domain(t)) {
            return Err(unfit("domain data types must not be marked binary-compatible"));
        }
        Ok(())
    }
}

fn modify(known: &Items<'_>, item: &str) -> Result<u8> {
    Ok(match known.text(item)?.as_deref() {
        None | Some("read_only") => b'r',
        Some("shareable") => b's',
        Some("read_write") => b'w',
        Some(_) => {
            let text = format!("parameter \"{item}\" must be READ_ONLY, SHAREABLE, or READ_WRITE");
            return Err(SqlError::syntax(text));
        }
    })
}

/// What is not for every operator.
fn checked_operator(o: &d::CreateOperator) -> Result<()> {
    if o.left == 0 {
        for (there, text) in [
            (o.commutator.is_some(), "only binary operators can have commutators"),
            (o.join != 0, "only binary operators can have join selectivity"),
            (o.merges, "only binary operators can merge join"),
            (o.hashes, "only binary operators can hash"),
        ] {
            if there {
                return Err(invalid(text));
            }
        }
    }
    if o.result != oid::BOOL {
        for (there, text) in [
            (o.negator.is_some(), "only boolean operators can have negators"),
            (o.restrict != 0, "only boolean operators can have restriction selectivity"),
            (o.join != 0, "only boolean operators can have join selectivity"),
            (o.merges, "only boolean operators can merge join"),
            (o.hashes, "only boolean operators can hash"),
        ] {
            if there {
                return Err(invalid(text));
            }
        }
    }
    Ok(())
}
