//! The tables agree with themselves.

use alloc::collections::BTreeSet;

use crate::{BTREE, Implementation, registry};
use pg_types::oid::*;

#[test]
fn oids_are_unique() {
    let r = registry();
    let oids: BTreeSet<_> = r.functions().iter().map(|f| f.oid).collect();
    assert_eq!(oids.len(), r.functions().len());
    let oids: BTreeSet<_> = r.operators().iter().map(|o| o.oid).collect();
    assert_eq!(oids.len(), r.operators().len());
}

#[test]
fn operators_match_their_functions() {
    let r = registry();
    for o in r.operators() {
        let f = r.function(o.function).expect("registered");
        let args: alloc::vec::Vec<_> = [o.left, o.right].into_iter().filter(|t| *t != 0).collect();
        assert_eq!(f.args.len(), args.len(), "{o:?}");
        assert!(!matches!(f.imp, Implementation::Set(_) | Implementation::Aggregate(_)), "{o:?}");
        if let Some(n) = r.operator(o.negator) {
            assert_eq!((n.left, n.right, n.negator), (o.left, o.right, o.oid));
        }
        if let Some(c) = r.operator(o.commutator) {
            assert_eq!((c.left, c.right, c.commutator), (o.right, o.left, o.oid));
        }
    }
}

#[test]
fn lookups() {
    let r = registry();
    assert_eq!(r.functions_named("abs").len(), r.functions().iter().filter(|f| f.name == "abs").count());
    assert!(r.functions_named("no such function").is_empty());
    assert_eq!(r.operator_for("+", INT4, INT8).map(|o| o.oid), Some(692));
    assert_eq!(r.equality_operator(INT4).map(|o| o.oid), Some(96));
    assert_eq!(r.less_than_operator(VARCHAR).map(|o| o.oid), Some(664));
    assert_eq!(r.greater_than_operator(INT4_ARRAY).map(|o| o.name), Some(">"));
    let class = r.default_class(BTREE, INT8).expect("int8_ops");
    assert_eq!(r.strategy(class.family, 37).map(|m| m.strategy), Some(1));
    assert_eq!(r.family_operator(class.family, INT4, INT8, 3), Some(15));
}
