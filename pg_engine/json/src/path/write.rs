//! Paths as text.

use alloc::string::String;
use core::fmt::{self, Write};

use super::{Expr, Level, Method, Operator, Path, Step};
use crate::quote;

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Or => "||",
        Operator::And => "&&",
        Operator::Equal => "==",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::StartsWith => "starts with",
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
    }
}

/// How tightly an expression binds; operands that do not bind tighter are put in parentheses.
fn priority(e: &Expr) -> u8 {
    match e {
        Expr::Binary(Operator::Or, ..) => 0,
        Expr::Binary(Operator::And, ..) => 1,
        Expr::Binary(Operator::Add | Operator::Subtract, ..) => 3,
        Expr::Binary(Operator::Multiply | Operator::Divide | Operator::Modulo, ..) => 4,
        Expr::Binary(..) => 2,
        Expr::Plus(_) | Expr::Minus(_) => 5,
        Expr::Chain(base, _) => priority(base),
        _ => 6,
    }
}

struct Writer {
    out: String,
}

impl Writer {
    fn push(&mut self, s: &str) {
        self.out.push_str(s);
    }

    fn operand(&mut self, e: &Expr, around: &Expr) {
        self.expr(e, priority(e) <= priority(around));
    }

    fn enclosed(&mut self, parentheses: bool, write: impl FnOnce(&mut Self)) {
        self.push(if parentheses { "(" } else { "" });
        write(self);
        self.push(if parentheses { ")" } else { "" });
    }

    fn expr(&mut self, e: &Expr, parentheses: bool) {
        match e {
            Expr::Null => self.push("null"),
            Expr::Bool(b) => self.push(if *b { "true" } else { "false" }),
            Expr::Number(n) => self.push(n),
            Expr::String(s) => quote(s, &mut self.out),
            Expr::Variable(v) => {
                self.push("$");
                quote(v, &mut self.out);
            }
            Expr::Root => self.push("$"),
            Expr::Current => self.push("@"),
            Expr::Last => self.push("last"),
            Expr::Binary(operator, a, b) => self.enclosed(parentheses, |w| {
                w.operand(a, e);
                w.push(" ");
                w.push(sign(*operator));
                w.push(" ");
                w.operand(b, e);
            }),
            Expr::Plus(inner) | Expr::Minus(inner) => self.enclosed(parentheses, |w| {
                w.push(if matches!(e, Expr::Plus(_)) { "+" } else { "-" });
                w.operand(inner, e);
            }),
            Expr::Not(inner) => {
                self.push("!(");
                self.expr(inner, false);
                self.push(")");
            }
            Expr::IsUnknown(inner) => {
                self.push("(");
                self.expr(inner, false);
                self.push(") is unknown");
            }
            Expr::Exists(inner) => {
                self.push("exists (");
                self.expr(inner, false);
                self.push(")");
            }
            Expr::LikeRegex(inner, pattern, flags) => self.enclosed(parentheses, |w| {
                w.operand(inner, e);
                w.push(" like_regex ");
                quote(pattern, &mut w.out);
                if !flags.is_empty() {
                    w.push(" flag \"");
                    w.push(flags);
                    w.push("\"");
                }
            }),
            Expr::Chain(base, steps) => {
                let number = matches!(**base, Expr::Number(_));
                let own = matches!(**base, Expr::Not(_) | Expr::IsUnknown(_) | Expr::Exists(_));
                self.enclosed(number, |w| w.expr(base, !own));
                for step in steps {
                    self.step(step);
                }
            }
        }
    }

    fn level(&mut self, level: Level) {
        match level {
            Level::Last => self.push("last"),
            Level::At(n) => {
                let _ = write!(self.out, "{n}");
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Key(key) => {
                self.push(".");
                quote(key, &mut self.out);
            }
            Step::AnyKey => self.push(".*"),
            Step::AnyElement => self.push("[*]"),
            Step::Elements(list) => {
                self.push("[");
                for (i, (from, to)) in list.iter().enumerate() {
                    self.push(if i > 0 { "," } else { "" });
                    self.expr(from, false);
                    if let Some(to) = to {
                        self.push(" to ");
                        self.expr(to, false);
                    }
                }
                self.push("]");
            }
            Step::Any(Level::At(0), Level::Last) => self.push(".**"),
            Step::Any(first, last) => {
                self.push(".**{");
                self.level(*first);
                if first != last {
                    self.push(" to ");
                    self.level(*last);
                }
                self.push("}");
            }
            Step::Filter(condition) => {
                self.push("?(");
                self.expr(condition, false);
                self.push(")");
            }
            Step::Method(method) => self.push(match method {
                Method::Type => ".type()",
                Method::Size => ".size()",
                Method::Abs => ".abs()",
                Method::Floor => ".floor()",
                Method::Ceiling => ".ceiling()",
                Method::Double => ".double()",
                Method::KeyValue => ".keyvalue()",
            }),
            Step::Datetime(template) => {
                self.push(".datetime(");
                if let Some(template) = template {
                    quote(template, &mut self.out);
                }
                self.push(")");
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut w = Writer { out: String::new() };
        w.expr(&self.root, true);
        f.write_str(if self.lax { "" } else { "strict " })?;
        f.write_str(&w.out)
    }
}
