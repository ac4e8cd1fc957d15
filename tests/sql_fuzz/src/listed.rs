//! Differences that are known, each with the reason why it stays: a file of lines `class TAB words TAB reason`. A difference is listed
//! when it is of that class and its statement or answers contain all the words, which are separated by ` && `.

use crate::compare::Difference;

/// The list.
#[derive(Debug, Default)]
pub struct Listed(Vec<(String, Vec<String>)>);

impl Listed {
    /// Reads the file's text; lines that begin with `#` are remarks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
        let entry = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                [class, words, reason] if !reason.is_empty() => {
                    Ok((class.to_owned(), words.split(" && ").map(str::to_owned).collect()))
                }
                _ => Err(format!("not \"class TAB words TAB reason\": {line}")),
            }
        };
        lines.map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Is it known?
    pub fn has(&self, sql: &str, difference: &Difference) -> bool {
        let text = format!("{sql}\nours: {}\ntheirs: {}", difference.ours, difference.theirs);
        self.0.iter().any(|(class, words)| {
            (class == difference.class.name() || class == "*")
                && words.iter().all(|w| text.contains(w.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Class;

    #[test]
    fn words_and_classes() {
        let listed = Listed::parse("# remark\nstate\tpower( && 22003\tthe ends differ\n").expect("a list");
        let d = |class| Difference { class, ours: "ERROR 22003: x".into(), theirs: String::new() };
        assert!(listed.has("SELECT power(1, 2)", &d(Class::State)));
        assert!(!listed.has("SELECT power(1, 2)", &d(Class::Rows)));
        assert!(!listed.has("SELECT 1", &d(Class::State)));
        assert!(Listed::parse("state\tno reason\n").is_err());
    }
}
