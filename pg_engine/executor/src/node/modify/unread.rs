//! Which columns an UPDATE or DELETE does not look at: large values in them are not fetched, and an update hands the pointer to them
//! on to the new version.

use alloc::vec::Vec;

use pg_plan::{
    expr::Expr,
    physical::{Node, Physical, Target},
};

use crate::node::row_reader::CTID;

/// Live positions of the columns that something looks at; `None`: that cannot be told.
struct Seen<'t> {
    target: &'t Target,
    positions: Option<Vec<usize>>,
}

impl Seen<'_> {
    /// Notes an expression's columns; `position` tells which column of the table one is.
    fn expr(&mut self, e: &Expr, position: &dyn Fn(usize) -> Option<usize>) {
        // What a subplan looks at is not all in its arguments.
        let unclear = e.any(&mut |e| match e {
            Expr::SubPlan(_) | Expr::CurrentOf(_) => true,
            Expr::Column(c, _) => {
                if let (Some(list), Some(p)) = (&mut self.positions, position(*c as usize)) {
                    list.push(p);
                }
                false
            }
            _ => false,
        });
        if unclear {
            self.positions = None;
        }
    }
    /// Notes a column by attribute number.
    fn attribute(&mut self, attnum: i16) {
        let live = self.target.relation.live().position(|a| a.attnum == attnum);
        if let (Some(list), Some(p)) = (&mut self.positions, live) {
            list.push(p);
        }
    }
}

/// Of an UPDATE or DELETE with this source: the scan of the table and the attribute indexes of columns that no one looks at.
/// `over_source`: expressions over the source's columns.
pub(super) fn unread<'p>(
    target: &Target,
    source: &'p Physical,
    over_source: &[&Expr],
) -> Option<(&'p Physical, Vec<usize>)> {
    let relation = &target.relation;
    relation.toast?;
    // A projection may put the columns in order.
    let (scan, order) = match &source.node {
        Node::Project(input, list) => (&**input, Some(list.as_slice())),
        _ => (source, None),
    };
    let (columns, filter) = match &scan.node {
        Node::SeqScan { relation: r, columns, filter, .. } if r.oid == relation.oid => (columns, filter),
        Node::IndexScan { relation: r, columns, filter, .. } if r.oid == relation.oid => (columns, filter),
        Node::BitmapScan { relation: r, columns, filter, .. } if r.oid == relation.oid => (columns, filter),
        _ => return None,
    };
    let live: Vec<i16> = relation.live().map(|a| a.attnum).collect();
    let width = live.len();
    let of_scan = |c: usize| columns.get(c).and_then(|a| live.iter().position(|l| l == a));
    let mut seen = Seen { target, positions: Some(Vec::new()) };
    // The source yields the ctid and the columns in order, and perhaps more.
    for (n, attnum) in core::iter::once(CTID).chain(live.iter().copied()).enumerate() {
        let place = match order.map(|list| list.get(n)) {
            None => n,
            Some(Some(Expr::Column(c, _))) => *c as usize,
            Some(_) => return None,
        };
        if columns.get(place) != Some(&attnum) {
            return None;
        }
    }
    order.iter().flat_map(|list| list.iter().skip(width + 1)).for_each(|e| seen.expr(e, &of_scan));
    let of_source = |c: usize| c.checked_sub(1).filter(|c| *c < width);
    let of_table = Some;
    let of_both =
        |c: usize| if c < width { Some(c) } else { (c - width).checked_sub(1).filter(|c| *c < width) };
    filter.iter().for_each(|e| seen.expr(e, &of_scan));
    over_source.iter().for_each(|e| seen.expr(e, &of_source));
    target.checks.iter().for_each(|(_, e)| seen.expr(e, &of_table));
    target.view_checks.iter().for_each(|(_, e)| seen.expr(e, &of_table));
    target.policies.iter().for_each(|p| seen.expr(&p.condition, &of_table));
    target.generated.iter().for_each(|(_, e)| seen.expr(e, &of_table));
    for (keys, predicate) in &target.index_exprs {
        keys.iter().flatten().chain(predicate).for_each(|e| seen.expr(e, &of_table));
    }
    target.returning.iter().flatten().for_each(|e| seen.expr(e, &of_both));
    for key in relation.indexes.iter().flat_map(|i| &i.keys) {
        seen.attribute(key.attnum);
    }
    let own = relation.foreign_keys.iter().flat_map(|k| &k.columns);
    let others = relation.referenced_by.iter().flat_map(|k| &k.referenced_columns);
    own.chain(others).for_each(|a| seen.attribute(*a));
    let seen = seen.positions?;
    let unread = relation.live().enumerate().filter(|(p, _)| !seen.contains(p));
    Some((scan, unread.map(|(_, a)| a.attnum as usize - 1).collect()))
}
