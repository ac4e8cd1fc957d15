//! EXPLAIN's documents: JSON, XML and YAML.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use pg_plan::statement::ExplainFormat;

/// Named values in order.
pub(super) type Fields = Vec<(String, Doc)>;

/// A value.
pub(super) enum Doc {
    Text(String),
    /// A number or a truth value.
    Bare(String),
    Texts(Vec<String>),
    Object(Fields),
    /// Objects; in XML each has this name.
    Objects(&'static str, Vec<Fields>),
}

/// The document of one query. Text is no document.
pub(super) fn render(format: ExplainFormat, query: &Fields) -> String {
    let mut out = String::new();
    match format {
        ExplainFormat::Text | ExplainFormat::Json => {
            out.push_str("[\n  ");
            json(query, 1, &mut out);
            out.push_str("\n]");
        }
        ExplainFormat::Xml => {
            out.push_str("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n");
            xml(query, 2, &mut out);
            out.push_str("  </Query>\n</explain>");
        }
        ExplainFormat::Yaml => {
            out.push_str("- ");
            yaml(query, 2, &mut out);
        }
    }
    out
}

fn pad(depth: usize) -> String {
    "  ".repeat(depth)
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn json(fields: &Fields, depth: usize, out: &mut String) {
    out.push('{');
    for (n, (name, value)) in fields.iter().enumerate() {
        out.push_str(if n > 0 { ",\n" } else { "\n" });
        let _ = write!(out, "{}{}: ", pad(depth + 1), quoted(name));
        match value {
            Doc::Text(text) => out.push_str(&quoted(text)),
            Doc::Bare(text) => out.push_str(text),
            Doc::Texts(list) => {
                let list: Vec<String> = list.iter().map(|s| quoted(s)).collect();
                let _ = write!(out, "[{}]", list.join(", "));
            }
            Doc::Object(fields) => json(fields, depth + 1, out),
            Doc::Objects(_, list) => {
                out.push('[');
                for (n, fields) in list.iter().enumerate() {
                    let _ = write!(out, "{}{}", if n > 0 { ",\n" } else { "\n" }, pad(depth + 2));
                    json(fields, depth + 2, out);
                }
                let _ = write!(out, "\n{}]", pad(depth + 1));
            }
        }
    }
    let _ = write!(out, "\n{}}}", pad(depth));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#x0d;")
}

fn xml(fields: &Fields, depth: usize, out: &mut String) {
    let own = pad(depth);
    for (name, value) in fields {
        let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let name = name.replace(odd, "-");
        match value {
            Doc::Text(text) | Doc::Bare(text) => {
                let _ = writeln!(out, "{own}<{name}>{}</{name}>", escaped(text));
                continue;
            }
            _ => {}
        }
        let _ = writeln!(out, "{own}<{name}>");
        match value {
            Doc::Text(_) | Doc::Bare(_) => {}
            Doc::Texts(list) => {
                for text in list {
                    let _ = writeln!(out, "{own}  <Item>{}</Item>", escaped(text));
                }
            }
            Doc::Object(fields) => xml(fields, depth + 1, out),
            Doc::Objects(name, list) => {
                for fields in list {
                    let _ = writeln!(out, "{own}  <{name}>");
                    xml(fields, depth + 2, out);
                    let _ = writeln!(out, "{own}  </{name}>");
                }
            }
        }
        let _ = writeln!(out, "{own}</{name}>");
    }
}

/// The first field goes on in the line that was begun; the others are indented so far.
fn yaml(fields: &Fields, indent: usize, out: &mut String) {
    for (n, (name, value)) in fields.iter().enumerate() {
        if n > 0 {
            let _ = write!(out, "\n{}", " ".repeat(indent));
        }
        let _ = write!(out, "{name}: ");
        match value {
            Doc::Text(text) => out.push_str(&quoted(text)),
            Doc::Bare(text) => out.push_str(text),
            Doc::Texts(list) => {
                for text in list {
                    let _ = write!(out, "\n{}- {}", " ".repeat(indent + 2), quoted(text));
                }
            }
            Doc::Object(fields) => {
                if !fields.is_empty() {
                    let _ = write!(out, "\n{}", " ".repeat(indent + 2));
                }
                yaml(fields, indent + 2, out);
            }
            Doc::Objects(_, list) => {
                for fields in list {
                    let _ = write!(out, "\n{}- ", " ".repeat(indent + 2));
                    yaml(fields, indent + 4, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn query() -> Fields {
        let text = |s: &str| Doc::Text(s.to_string());
        let named = |n: &str, d: Doc| (n.to_string(), d);
        let inner = Vec::from([
            named("Node Type", text("Scan")),
            named("Filter", text("(a < '\"&')")),
            named("Keys", Doc::Texts(Vec::from(["a".to_string(), "b".to_string()]))),
        ]);
        let plan = Vec::from([
            named("Rows", Doc::Bare("1".into())),
            named("Plans", Doc::Objects("Plan", Vec::from([inner]))),
        ]);
        Vec::from([
            named("Plan", Doc::Object(plan)),
            named("Settings", Doc::Object(Vec::new())),
            named("Triggers", Doc::Objects("Trigger", Vec::new())),
        ])
    }

    #[test]
    fn documents() {
        let wanted = r#"[
  {
    "Plan": {
      "Rows": 1,
      "Plans": [
        {
          "Node Type": "Scan",
          "Filter": "(a < '\"&')",
          "Keys": ["a", "b"]
        }
      ]
    },
    "Settings": {
    },
    "Triggers": [
    ]
  }
]"#;
        assert_eq!(render(ExplainFormat::Json, &query()), wanted);
        let wanted = r#"<explain xmlns="http://www.postgresql.org/2009/explain">
  <Query>
    <Plan>
      <Rows>1</Rows>
      <Plans>
        <Plan>
          <Node-Type>Scan</Node-Type>
          <Filter>(a &lt; '"&amp;')</Filter>
          <Keys>
            <Item>a</Item>
            <Item>b</Item>
          </Keys>
        </Plan>
      </Plans>
    </Plan>
    <Settings>
    </Settings>
    <Triggers>
    </Triggers>
  </Query>
</explain>"#;
        assert_eq!(render(ExplainFormat::Xml, &query()), wanted);
        let wanted = [
            "- Plan: ",
            "    Rows: 1",
            "    Plans: ",
            "      - Node Type: \"Scan\"",
            "        Filter: \"(a < '\\\"&')\"",
            "        Keys: ",
            "          - \"a\"",
            "          - \"b\"",
            "  Settings: ",
            "  Triggers: ",
        ];
        assert_eq!(render(ExplainFormat::Yaml, &query()), wanted.join("\n"));
    }
}
