//! Const constructors that keep the static tables to one line a row.

use pg_types::{Oid, Value};

use crate::def::{
    Aggregate, Cast, CastContext, CastMethod, FamilyOperator, Function, FunctionKind, Implementation,
    Operator, OperatorClass, Volatility,
};

/// A strict, immutable scalar function computed by the session unless told otherwise.
pub(crate) const fn def(oid: Oid, name: &'static str, args: &'static [Oid], result: Oid) -> Function {
    Function {
        oid,
        name,
        args,
        defaults: &[],
        variadic: 0,
        gathered: false,
        result,
        columns: &[],
        kind: FunctionKind::Scalar,
        strict: true,
        volatility: Volatility::Immutable,
        graph: false,
        described: false,
        shaped: false,
        imp: Implementation::Host,
    }
}

impl Function {
    /// `STABLE`.
    pub(crate) const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }
    /// `VOLATILE`.
    pub(crate) const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }
    /// It is about the current graph.
    pub(crate) const fn graph(mut self) -> Self {
        self.graph = true;
        self
    }
    /// Calls carry the types of their arguments.
    pub(crate) const fn described(mut self) -> Self {
        self.described = true;
        self
    }
    /// Calls carry the shape of the row that they make.
    pub(crate) const fn shaped(mut self) -> Self {
        self.shaped = true;
        self
    }
    /// Called on NULL input.
    pub(crate) const fn nullable(mut self) -> Self {
        self.strict = false;
        self
    }
    /// The last parameter is VARIADIC with this element type.
    pub(crate) const fn variadic(mut self, element: Oid) -> Self {
        self.variadic = element;
        self
    }
    /// OUT parameters.
    pub(crate) const fn columns(mut self, columns: &'static [(&'static str, Oid)]) -> Self {
        self.columns = columns;
        self
    }
    /// Defaults of the trailing parameters.
    pub(crate) const fn defaults(mut self, defaults: &'static [fn() -> Value]) -> Self {
        self.defaults = defaults;
        self
    }
    /// How it is computed.
    pub(crate) const fn imp(mut self, imp: Implementation) -> Self {
        self.kind = match imp {
            Implementation::Set(_) => FunctionKind::Set,
            Implementation::Aggregate(_) => FunctionKind::Aggregate,
            Implementation::Window => FunctionKind::Window,
            _ => self.kind,
        };
        self.imp = imp;
        self
    }
}

/// An operator without commutator and negator, fit for neither hashing nor merging.
pub(crate) const fn op(
    oid: Oid,
    name: &'static str,
    left: Oid,
    right: Oid,
    result: Oid,
    function: Oid,
) -> Operator {
    Operator {
        oid,
        name,
        left,
        right,
        result,
        function,
        commutator: 0,
        negator: 0,
        hashes: false,
        merges: false,
    }
}

impl Operator {
    /// Commutator and negator; 0: none.
    pub(crate) const fn pair(mut self, commutator: Oid, negator: Oid) -> Self {
        self.commutator = commutator;
        self.negator = negator;
        self
    }
    /// HASHES.
    pub(crate) const fn hashes(mut self) -> Self {
        self.hashes = true;
        self
    }
    /// MERGES.
    pub(crate) const fn merges(mut self) -> Self {
        self.merges = true;
        self
    }
}

/// A cast by a function.
pub(crate) const fn by(oid: Oid, source: Oid, target: Oid, context: CastContext, function: Oid) -> Cast {
    Cast { oid, source, target, context, method: CastMethod::Function(function) }
}

/// A cast that changes nothing but the type's name.
pub(crate) const fn binary(oid: Oid, source: Oid, target: Oid, context: CastContext) -> Cast {
    Cast { oid, source, target, context, method: CastMethod::Binary }
}

/// A cast through text.
pub(crate) const fn in_out(oid: Oid, source: Oid, target: Oid, context: CastContext) -> Cast {
    Cast { oid, source, target, context, method: CastMethod::InOut }
}

/// An aggregate's entry.
pub(crate) const fn agg(
    function: Oid,
    kind: u8,
    direct_args: u16,
    transition_type: Oid,
    sort_operator: Oid,
) -> Aggregate {
    Aggregate { function, kind, direct_args, transition_type, sort_operator }
}

/// A default operator class.
pub(crate) const fn class(
    oid: Oid,
    name: &'static str,
    method: Oid,
    family: Oid,
    family_name: &'static str,
    input: Oid,
) -> OperatorClass {
    OperatorClass { oid, name, method, family, family_name, input, default: true, key: 0 }
}

impl OperatorClass {
    /// Only used when named.
    pub(crate) const fn other(mut self) -> Self {
        self.default = false;
        self
    }
    /// Stores this type.
    pub(crate) const fn key(mut self, key: Oid) -> Self {
        self.key = key;
        self
    }
}

/// An operator's place in a family.
pub(crate) const fn member(
    oid: Oid,
    family: Oid,
    left: Oid,
    right: Oid,
    strategy: u8,
    operator: Oid,
) -> FamilyOperator {
    FamilyOperator { oid, family, left, right, strategy, operator }
}
