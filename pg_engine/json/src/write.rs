//! Documents as text.

use alloc::string::String;
use core::fmt::Write;

use crate::{Jsonb, Kind, View};

/// Appends a string in quotes, escaped as little as may be.
pub fn quote(s: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, b) in s.bytes().enumerate() {
        let escape = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x0c => "\\f",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(s.get(from..at).unwrap_or_default());
        out.push_str(escape);
        if escape.is_empty() {
            let _ = write!(out, "\\u{b:04x}");
        }
        from = at + 1;
    }
    out.push_str(s.get(from..).unwrap_or_default());
    out.push('"');
}

impl View<'_> {
    /// Appends the text, a blank behind each comma and colon.
    pub fn write(self, out: &mut String) {
        match self.kind() {
            Kind::Null => out.push_str("null"),
            Kind::Bool(b) => out.push_str(if b { "true" } else { "false" }),
            Kind::Number(n) => out.push_str(n),
            Kind::String(s) => quote(s, out),
            Kind::Array(_) => {
                out.push('[');
                for (i, v) in self.elements().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    v.write(out);
                }
                out.push(']');
            }
            Kind::Object(_) => {
                out.push('{');
                for (i, (key, v)) in self.members().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    quote(key, out);
                    out.push_str(": ");
                    v.write(out);
                }
                out.push('}');
            }
        }
    }
    /// As `->>` shows it: strings bare, nothing for null.
    pub fn to_text(self) -> Option<String> {
        match self.kind() {
            Kind::Null => None,
            Kind::String(s) => Some(s.into()),
            _ => {
                let mut out = String::new();
                self.write(&mut out);
                Some(out)
            }
        }
    }
}

impl core::fmt::Display for Jsonb {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = String::with_capacity(self.bytes().len() + 16);
        self.root().write(&mut out);
        f.write_str(&out)
    }
}

fn line(level: usize, out: &mut String) {
    out.push('\n');
    out.extend(core::iter::repeat_n("    ", level));
}

/// Appends the text, one member or element a line, indented by four blanks.
pub fn write_pretty(view: View<'_>, level: usize, out: &mut String) {
    match view.kind() {
        Kind::Array(_) => {
            out.push('[');
            for (i, v) in view.elements().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                line(level + 1, out);
                write_pretty(v, level + 1, out);
            }
            line(level, out);
            out.push(']');
        }
        Kind::Object(_) => {
            out.push('{');
            for (i, (key, v)) in view.members().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                line(level + 1, out);
                quote(key, out);
                out.push_str(": ");
                write_pretty(v, level + 1, out);
            }
            line(level, out);
            out.push('}');
        }
        _ => view.write(out),
    }
}
