//! The records of a logic test file, in the format that SQLite's files have: statements that must work or fail, and queries with
//! their types, an order and what they answer.

/// How rows are put in order before they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// As they come.
    None,
    /// By rows.
    Rows,
    /// By values.
    Values,
}

/// What a record asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The statement works.
    Works,
    /// It fails.
    Fails,
    /// The query answers these values, or so many of that hash.
    Answers { types: String, sort: Sort, values: Vec<String> },
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line where it begins, from 1.
    pub line: usize,
    /// The lines before the statement and the answer, as they stand.
    pub head: String,
    /// The statement.
    pub sql: String,
    /// What must come of it.
    pub wanted: Wanted,
}

/// The engine whose records are taken.
const ENGINE: &str = "postgresql";

/// A file.
#[derive(Debug, Default)]
pub struct File {
    /// The records for this engine, up to a `halt` for it.
    pub records: Vec<Record>,
}

/// Reads a file.
///
/// # Errors
/// The line that is none of the format.
pub fn parse(text: &str) -> Result<File, String> {
    let mut file = File::default();
    let mut lines = text.lines().enumerate().map(|(n, l)| (n + 1, l.trim_end())).peekable();
    let mut applies = true;
    while let Some((line, head)) = lines.next() {
        let words: Vec<&str> = head.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words[..] {
            [] => continue,
            ["onlyif", engine] => {
                applies &= engine == ENGINE;
                continue;
            }
            ["skipif", engine] => {
                applies &= engine != ENGINE;
                continue;
            }
            // A long answer says itself that it is a hash.
            ["hash-threshold", _] => {}
            ["halt"] if applies => return Ok(file),
            ["halt"] => {}
            ["statement", _] | ["query", ..] => {
                let mut sql = Vec::new();
                let mut answer = None;
                for (_, l) in lines.by_ref() {
                    match &mut answer {
                        _ if l.is_empty() => break,
                        None if l == "----" && words[0] == "query" => answer = Some(Vec::new()),
                        None => sql.push(l),
                        Some(values) => values.push(l.to_owned()),
                    }
                }
                let wanted = match words[..] {
                    ["statement", "ok"] => Wanted::Works,
                    ["statement", "error"] => Wanted::Fails,
                    ["query", types, ref rest @ ..] => {
                        let sort = match rest.first() {
                            Some(&"rowsort") => Sort::Rows,
                            Some(&"valuesort") => Sort::Values,
                            _ => Sort::None,
                        };
                        Wanted::Answers { types: types.into(), sort, values: answer.unwrap_or_default() }
                    }
                    _ => return Err(format!("line {line}: {head}")),
                };
                if applies {
                    file.records.push(Record { line, head: head.into(), sql: sql.join("\n"), wanted });
                }
            }
            _ => return Err(format!("line {line}: {head}")),
        }
        applies = true;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let text = "hash-threshold 8\n\nonlyif mysql # why\nstatement ok\nSELECT 0\n\nskipif mysql\nquery IT rowsort x\nSELECT a,\nb FROM t\n----\n1\nx\n\n\
                    statement error\nSELECT\n\nhalt\n\nstatement ok\nSELECT 9\n";
        let file = parse(text).expect("a file");
        assert_eq!(file.records.len(), 2);
        assert_eq!(file.records[0].sql, "SELECT a,\nb FROM t");
        let values = vec!["1".to_owned(), "x".to_owned()];
        assert_eq!(file.records[0].wanted, Wanted::Answers { types: "IT".into(), sort: Sort::Rows, values });
        assert_eq!(file.records[1].wanted, Wanted::Fails);
        assert!(parse("what\n").is_err());
    }
}
