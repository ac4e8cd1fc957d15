//! Look-up by name, oid and type over the static tables.

use alloc::vec::Vec;

use hashbrown::HashMap;
use pg_types::Oid;

use crate::{
    def::{Aggregate, BTREE, Cast, FamilyOperator, Function, Operator, OperatorClass},
    tables,
};

/// Everything callable, indexed. Built once, at the first call of [`registry`].
#[derive(Debug)]
pub struct Registry {
    functions: Vec<&'static Function>,
    function_names: HashMap<&'static str, (u32, u32)>,
    function_oids: HashMap<Oid, &'static Function>,
    operators: Vec<&'static Operator>,
    operator_names: HashMap<&'static str, (u32, u32)>,
    operator_oids: HashMap<Oid, &'static Operator>,
    casts: HashMap<(Oid, Oid), &'static Cast>,
    cast_list: Vec<&'static Cast>,
    aggregates: HashMap<Oid, &'static Aggregate>,
    classes: HashMap<(Oid, Oid), &'static OperatorClass>,
    members: HashMap<(Oid, Oid, Oid, u8), &'static FamilyOperator>,
    operator_members: HashMap<(Oid, Oid), &'static FamilyOperator>,
}

/// The built-in functions, operators, casts and aggregates.
pub fn registry() -> &'static Registry {
    static REGISTRY: spin::Once<Registry> = spin::Once::new();
    REGISTRY.call_once(Registry::build)
}

/// Where each name's entries begin and end in a list sorted by name.
fn name_ranges<T>(list: &[T], name: impl Fn(&T) -> &'static str) -> HashMap<&'static str, (u32, u32)> {
    let mut ranges: HashMap<&'static str, (u32, u32)> = HashMap::with_capacity(list.len());
    for (i, entry) in list.iter().enumerate() {
        let i = i as u32;
        ranges.entry(name(entry)).or_insert((i, i)).1 = i + 1;
    }
    ranges
}

impl Registry {
    fn build() -> Self {
        let mut functions: Vec<&'static Function> =
            tables::FUNCTIONS.iter().flat_map(|t| t.iter()).copied().flatten().collect();
        functions.sort_by_key(|f| (f.name, f.oid));
        let function_oids: HashMap<_, _> = functions.iter().map(|f| (f.oid, *f)).collect();
        // An operator, cast or aggregate whose function is not there does not exist.
        let known = |oid: Oid| function_oids.contains_key(&oid);
        let mut operators: Vec<&'static Operator> = tables::OPERATORS
            .iter()
            .chain(crate::geometry::OPERATORS)
            .filter(|o| known(o.function))
            .collect();
        operators.sort_by_key(|o| (o.name, o.oid));
        let operator_oids: HashMap<_, _> = operators.iter().map(|o| (o.oid, *o)).collect();
        let cast_list: Vec<_> = tables::CASTS
            .iter()
            .filter(|c| match c.method {
                crate::CastMethod::Function(f) => known(f),
                _ => true,
            })
            .collect();
        let members = || tables::FAMILY_OPERATORS.iter().filter(|m| operator_oids.contains_key(&m.operator));
        Self {
            function_names: name_ranges(&functions, |f| f.name),
            operator_names: name_ranges(&operators, |o| o.name),
            casts: cast_list.iter().map(|c| ((c.source, c.target), *c)).collect(),
            cast_list,
            aggregates: tables::AGGREGATES
                .iter()
                .filter(|a| known(a.function))
                .map(|a| (a.function, a))
                .collect(),
            classes: tables::OPERATOR_CLASSES
                .iter()
                .filter(|c| c.default)
                .map(|c| ((c.method, c.input), c))
                .collect(),
            members: members().map(|m| ((m.family, m.left, m.right, m.strategy), m)).collect(),
            operator_members: members().map(|m| ((m.family, m.operator), m)).collect(),
            functions,
            function_oids,
            operators,
            operator_oids,
        }
    }

    /// The overloads of a name, by ascending oid.
    pub fn functions_named(&self, name: &str) -> &[&'static Function] {
        slice(&self.functions, self.function_names.get(name))
    }

    /// By oid.
    pub fn function(&self, oid: Oid) -> Option<&'static Function> {
        self.function_oids.get(&oid).copied()
    }

    /// All functions, aggregates included, sorted by name and oid.
    pub fn functions(&self) -> &[&'static Function] {
        &self.functions
    }

    /// The overloads of an operator's name, by ascending oid.
    pub fn operators_named(&self, name: &str) -> &[&'static Operator] {
        slice(&self.operators, self.operator_names.get(name))
    }

    /// By oid.
    pub fn operator(&self, oid: Oid) -> Option<&'static Operator> {
        self.operator_oids.get(&oid).copied()
    }

    /// The operator of this name for exactly these types (`left` 0: prefix).
    pub fn operator_for(&self, name: &str, left: Oid, right: Oid) -> Option<&'static Operator> {
        self.operators_named(name).iter().find(|o| o.left == left && o.right == right).copied()
    }

    /// All operators, sorted by name and oid.
    pub fn operators(&self) -> &[&'static Operator] {
        &self.operators
    }

    /// The cast from one type to another, as `pg_cast` has it (no entry for a type to itself unless it is a length
    /// coercion, nor for arrays or casts through text, which follow rules).
    pub fn cast(&self, source: Oid, target: Oid) -> Option<&'static Cast> {
        self.casts.get(&(source, target)).copied()
    }

    /// All casts.
    pub fn casts(&self) -> &[&'static Cast] {
        &self.cast_list
    }

    /// What marks a function as an aggregate.
    pub fn aggregate(&self, function: Oid) -> Option<&'static Aggregate> {
        self.aggregates.get(&function).copied()
    }

    /// All aggregates.
    pub fn aggregates(&self) -> impl Iterator<Item = &'static Aggregate> {
        self.aggregates.values().copied()
    }

    /// The default operator class of a type for an access method. Types without their own use that of the type they
    /// are binary-compatible with (varchar that of text); any array uses that of `anyarray`.
    pub fn default_class(&self, method: Oid, ty: Oid) -> Option<&'static OperatorClass> {
        self.classes.get(&(method, class_type(ty))).copied()
    }

    /// The operator class of a name for an access method.
    pub fn named_class(&self, method: Oid, name: &str) -> Option<&'static OperatorClass> {
        self.operator_classes().iter().find(|c| c.method == method && c.name == name)
    }

    /// May values of a type be compared as the operator class does?
    pub fn class_accepts(&self, class: &OperatorClass, ty: Oid) -> bool {
        class.input == class_type(ty)
    }

    /// All operator classes.
    pub fn operator_classes(&self) -> &'static [OperatorClass] {
        tables::OPERATOR_CLASSES
    }

    /// All operators of families, as in `pg_amop`.
    pub fn family_operators(&self) -> impl Iterator<Item = &'static FamilyOperator> {
        self.members.values().copied()
    }

    /// The operator of a family for these types and this strategy.
    pub fn family_operator(&self, family: Oid, left: Oid, right: Oid, strategy: u8) -> Option<Oid> {
        self.members.get(&(family, left, right, strategy)).map(|m| m.operator)
    }

    /// The strategy of an operator in a family: for a B-tree 1 `<`, 2 `<=`, 3 `=`, 4 `>=`, 5 `>`.
    pub fn strategy(&self, family: Oid, operator: Oid) -> Option<&'static FamilyOperator> {
        self.operator_members.get(&(family, operator)).copied()
    }

    /// The operator a type's default B-tree class has for a strategy.
    pub fn comparison_operator(&self, ty: Oid, strategy: u8) -> Option<&'static Operator> {
        let class = self.default_class(BTREE, ty)?;
        self.operator(self.family_operator(class.family, class.input, class.input, strategy)?)
    }

    /// `=` of a type: what DISTINCT, GROUP BY and UNIQUE use.
    pub fn equality_operator(&self, ty: Oid) -> Option<&'static Operator> {
        self.comparison_operator(ty, 3)
    }

    /// `<` of a type: what ORDER BY uses.
    pub fn less_than_operator(&self, ty: Oid) -> Option<&'static Operator> {
        self.comparison_operator(ty, 1)
    }

    /// `>` of a type: what ORDER BY ... DESC uses.
    pub fn greater_than_operator(&self, ty: Oid) -> Option<&'static Operator> {
        self.comparison_operator(ty, 5)
    }
}

fn slice<'a, T>(list: &'a [T], range: Option<&(u32, u32)>) -> &'a [T] {
    range.and_then(|&(from, to)| list.get(from as usize..to as usize)).unwrap_or(&[])
}

/// The type whose operator class serves `ty`.
fn class_type(ty: Oid) -> Oid {
    use pg_types::oid::*;
    match ty {
        VARCHAR | PG_NODE_TREE => TEXT,
        CIDR => INET,
        REGPROC | REGPROCEDURE | REGOPER | REGOPERATOR | REGCLASS | REGTYPE | REGROLE | REGNAMESPACE
        | REGCONFIG | REGDICTIONARY | REGCOLLATION => OID,
        _ if crate::types::element_type(ty) != 0 => ANYARRAY,
        _ if pg_types::user::is_enum(ty) => ANYENUM,
        _ if pg_types::user::is_composite(ty) => RECORD,
        _ => ty,
    }
}
