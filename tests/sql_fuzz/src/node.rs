//! Statements as trees that know no grammar, only what may be left out or replaced: enough to print them, and to make a failing
//! one small.

/// A piece of a statement.
#[derive(Clone, Debug)]
pub enum Node {
    /// As it stands.
    Text(String),
    /// One after the other.
    Sequence(Vec<Node>),
    /// May be left out.
    Maybe(Box<Node>),
    /// Separated items, of which some must remain.
    List { separator: &'static str, least: usize, items: Vec<Node> },
    /// An expression of a type: another of that type may take its place.
    Expression { of: &'static str, node: Box<Node> },
    /// A relation or query: one inside it may take its place.
    Query(Box<Node>),
}

/// Text.
pub fn text(t: impl Into<String>) -> Node {
    Node::Text(t.into())
}

/// A sequence.
pub fn seq(items: Vec<Node>) -> Node {
    Node::Sequence(items)
}

/// What may be left out.
pub fn maybe(node: Node) -> Node {
    Node::Maybe(Box::new(node))
}

/// Separated items.
pub fn list(separator: &'static str, least: usize, items: Vec<Node>) -> Node {
    Node::List { separator, least, items }
}

impl Node {
    fn print(&self, out: &mut String) {
        match self {
            Node::Text(t) => out.push_str(t),
            Node::Sequence(items) => items.iter().for_each(|i| i.print(out)),
            Node::Maybe(node) | Node::Expression { node, .. } | Node::Query(node) => node.print(out),
            Node::List { separator, items, .. } => {
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push_str(separator);
                    }
                    item.print(out);
                }
            }
        }
    }

    /// The text.
    pub fn sql(&self) -> String {
        let mut out = String::new();
        self.print(&mut out);
        out
    }

    fn inside<'a>(&'a self, wanted: &dyn Fn(&Node) -> bool, found: &mut Vec<&'a Node>) {
        let mut look = |n: &'a Node| {
            if wanted(n) {
                found.push(n);
            }
            n.inside(wanted, found);
        };
        match self {
            Node::Text(_) => {}
            Node::Sequence(items) | Node::List { items, .. } => items.iter().for_each(look),
            Node::Maybe(node) | Node::Expression { node, .. } | Node::Query(node) => look(node),
        }
    }

    /// What could stand here instead, largest steps first.
    fn instead(&self) -> Vec<Node> {
        let mut found = Vec::new();
        match self {
            Node::Text(_) | Node::Sequence(_) => Vec::new(),
            Node::Maybe(_) => vec![text("")],
            Node::List { separator, least, items } => {
                let keep = |from: usize, to: usize| Node::List {
                    separator,
                    least: *least,
                    items: items[from..to].to_vec(),
                };
                let n = items.len();
                let mut all = Vec::new();
                if n / 2 > *least {
                    all.extend([keep(0, n / 2), keep(n / 2, n)]);
                }
                if n > *least {
                    for gone in 0..n {
                        let mut items = items.clone();
                        items.remove(gone);
                        all.push(Node::List { separator, least: *least, items });
                    }
                }
                all
            }
            Node::Expression { of, node } => {
                node.inside(&|n| matches!(n, Node::Expression { of: o, .. } if o == of), &mut found);
                let null = format!("NULL::{of}");
                let mut all: Vec<Node> = found.into_iter().cloned().collect();
                if !matches!(&**node, Node::Text(_)) {
                    let simple = match *of {
                        "boolean" => vec!["true", "false"],
                        "integer" | "bigint" | "numeric" => vec!["1"],
                        _ => vec![],
                    };
                    all.extend(simple.into_iter().map(|t| text(format!("{t}::{of}"))));
                    all.push(text(null));
                }
                all
            }
            Node::Query(node) => {
                node.inside(&|n| matches!(n, Node::Query(_)), &mut found);
                found.into_iter().cloned().collect()
            }
        }
    }

    /// All trees that are one step smaller.
    pub fn smaller(&self) -> Vec<Node> {
        let mut all = self.instead();
        let mut of_items = |items: &[Node], make: &dyn Fn(Vec<Node>) -> Node| {
            for (n, item) in items.iter().enumerate() {
                for less in item.smaller() {
                    let mut items = items.to_vec();
                    items[n] = less;
                    all.push(make(items));
                }
            }
        };
        match self {
            Node::Text(_) => {}
            Node::Sequence(items) => of_items(items, &Node::Sequence),
            Node::List { separator, least, items } => {
                of_items(items, &|items| Node::List { separator, least: *least, items });
            }
            Node::Maybe(node) => all.extend(node.smaller().into_iter().map(maybe)),
            Node::Query(node) => {
                all.extend(node.smaller().into_iter().map(|n| Node::Query(Box::new(n))));
            }
            Node::Expression { of, node } => {
                all.extend(node.smaller().into_iter().map(|n| Node::Expression { of, node: Box::new(n) }));
            }
        }
        all
    }
}

/// Makes a tree small as long as `still` holds of the smaller one, with at most `tries` looks.
pub fn reduce(mut node: Node, mut tries: usize, still: &mut dyn FnMut(&str) -> bool) -> Node {
    let mut length = node.sql().len();
    'again: loop {
        for less in node.smaller() {
            let sql = less.sql();
            if sql.len() >= length {
                continue;
            }
            if tries == 0 {
                return node;
            }
            tries -= 1;
            if still(&sql) {
                length = sql.len();
                node = less;
                continue 'again;
            }
        }
        return node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_remains() {
        let expression = |node| Node::Expression { of: "integer", node: Box::new(node) };
        let tree = seq(vec![
            text("SELECT "),
            list(
                ", ",
                1,
                vec![
                    expression(text("a")),
                    expression(seq(vec![text("f("), expression(text("bug")), text(")")])),
                ],
            ),
            maybe(text(" WHERE c")),
        ]);
        assert_eq!(tree.sql(), "SELECT a, f(bug) WHERE c");
        let small = reduce(tree, 100, &mut |s| s.contains("bug"));
        assert_eq!(small.sql(), "SELECT bug");
    }
}
