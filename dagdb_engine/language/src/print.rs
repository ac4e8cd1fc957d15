//! Commands to text, in the preferred spelling.

use core::fmt::{Display, Formatter, Result};

use crate::{Backup, Command, Comparison, Field, Format, Gate, Predicate, Range, Record};

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

impl Display for Predicate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Compare(field, how, value) => {
                let field = match field {
                    Field::Truth => "truth",
                    Field::Rank => "rank",
                    Field::Type => "type",
                };
                let how = match how {
                    Comparison::Equal => "=",
                    Comparison::NotEqual => "!=",
                    Comparison::Less => "<",
                    Comparison::Greater => ">",
                    Comparison::LessOrEqual => "<=",
                    Comparison::GreaterOrEqual => ">=",
                };
                write!(f, "{field}{how}{value}")
            }
            Self::And(all) => joined(f, all, " AND "),
            Self::Or(any) => joined(f, any, " OR "),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                side(f, inner)
            }
        }
    }
}

fn joined(f: &mut Formatter<'_>, sides: &[Predicate], by: &str) -> Result {
    for (i, one) in sides.iter().enumerate() {
        f.write_str(if i > 0 { by } else { "" })?;
        side(f, one)?;
    }
    Ok(())
}

/// Parentheses only where what was parsed had some: nesting must not grow.
fn side(f: &mut Formatter<'_>, predicate: &Predicate) -> Result {
    match predicate {
        Predicate::And(_) | Predicate::Or(_) => write!(f, "({predicate})"),
        Predicate::Compare(..) | Predicate::Not(_) => write!(f, "{predicate}"),
    }
}

/// A path or name, quoted.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("'")?;
        for (i, piece) in self.0.split('\'').enumerate() {
            f.write_str(if i > 0 { "''" } else { "" })?;
            f.write_str(piece)?;
        }
        f.write_str("'")
    }
}

fn condition(f: &mut Formatter<'_>, predicate: Option<&Predicate>) -> Result {
    predicate.map_or(Ok(()), |p| write!(f, " WHERE {p}"))
}

fn file(f: &mut Formatter<'_>, save: bool, format: Format, path: &str) -> Result {
    let path = Quoted(path);
    let verb = if save { "SAVE" } else { "LOAD" };
    match format {
        Format::Snapshot { compressed: true } => write!(f, "{verb} {path} COMPRESSED"),
        Format::Snapshot { compressed: false } => write!(f, "{verb} {path}"),
        Format::Json => write!(f, "{verb} JSON {path}"),
        Format::Csv => write!(f, "{verb} CSV {path}"),
        Format::Morton => write!(f, "{} MORTON {path}", if save { "EXPORT" } else { "IMPORT" }),
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Status => f.write_str("STATUS"),
            Self::GraphInfo => f.write_str("GRAPH INFO"),
            Self::Validate => f.write_str("VALIDATE"),
            Self::Tick(count) => write!(f, "TICK {count}"),
            Self::Eval { predicate, ranks } => {
                f.write_str("EVAL")?;
                condition(f, predicate.as_ref())?;
                ranks.map_or(Ok(()), |(from, to)| write!(f, " RANK {from} TO {to}"))
            }
            Self::Nodes { rank, predicate } => {
                f.write_str("NODES")?;
                rank.map_or(Ok(()), |rank| write!(f, " AT RANK {rank}"))?;
                condition(f, predicate.as_ref())
            }
            Self::Traverse { from, depth } => write!(f, "TRAVERSE FROM {from} DEPTH {depth}"),
            Self::SetTruth { node, truth } => write!(f, "SET {node} TRUTH {truth}"),
            Self::SetRank { node, rank } => write!(f, "SET {node} RANK {rank}"),
            Self::SetLut { node, lut } => write!(f, "SET {node} LUT {lut}"),
            Self::GetTruth { node } => write!(f, "GET {node} TRUTH"),
            Self::SetRanksBulk => f.write_str("SET_RANKS_BULK"),
            Self::Connect { back, from, to } => {
                write!(f, "CONNECT {}FROM {from} TO {to}", if *back { "BACK " } else { "" })
            }
            Self::Clear { back, node } => write!(f, "CLEAR {node} {}EDGES", if *back { "BACK_" } else { "" }),
            Self::Compose { gate, first, second, into } => {
                let gate = match gate {
                    Gate::And => "AND",
                    Gate::Or => "OR",
                    Gate::Xor => "XOR",
                    Gate::Not => "NOT",
                };
                write!(f, "COMPOSE {gate} {first}")?;
                second.map_or(Ok(()), |second| write!(f, " {second}"))?;
                write!(f, " INTO {into}")
            }
            Self::Save { format, path } => file(f, true, *format, path),
            Self::Load { format, path } => file(f, false, *format, path),
            Self::Backup { action, path } => {
                let action = match action {
                    Backup::Init => "INIT",
                    Backup::Append => "APPEND",
                    Backup::Restore => "RESTORE",
                    Backup::Compact => "COMPACT",
                    Backup::Info => "INFO",
                    Backup::Drop => "DROP",
                };
                write!(f, "BACKUP {action} {}", Quoted(path))
            }
            Self::Select { truth, ranks } => write!(f, "SELECT TRUTH {truth} RANK {ranks}"),
            Self::BfsDepths { from, backward } => {
                write!(f, "BFS_DEPTHS FROM {from}{}", if *backward { " BACKWARD" } else { "" })
            }
            Self::Ancestry { from, depth } => write!(f, "ANCESTRY FROM {from} DEPTH {depth}"),
            Self::Similar { to, depth, count, among } => {
                write!(f, "SIMILAR_DECISIONS TO {to} DEPTH {depth} K {count}")?;
                among.map_or(Ok(()), |truth| write!(f, " AMONG TRUTH {truth}"))
            }
            Self::Distance { metric, first, second } => {
                write!(f, "DISTANCE {} {first} {second}", metric.name())
            }
            Self::OpenReader => f.write_str("OPEN_READER"),
            Self::CloseReader(id) => write!(f, "CLOSE_READER {}", Quoted(id)),
            Self::ListReaders => f.write_str("LIST_READERS"),
            Self::DropSave(name) => write!(f, "DROP SAVE {}", Quoted(name)),
            Self::Record(Record::Start { interval }) => {
                f.write_str("RECORD START")?;
                interval.map_or(Ok(()), |n| write!(f, " EVERY {n}"))
            }
            Self::Record(Record::Stop) => f.write_str("RECORD STOP"),
            Self::Record(Record::Drop) => f.write_str("RECORD DROP"),
            Self::Record(Record::Info) => f.write_str("RECORD INFO"),
            Self::Replay { from, to } => {
                f.write_str("REPLAY")?;
                from.map_or(Ok(()), |n| write!(f, " FROM {n}"))?;
                to.map_or(Ok(()), |n| write!(f, " TO {n}"))
            }
            Self::Rewind(tick) => write!(f, "REWIND TO {tick}"),
            Self::AsOf { tick, command } => write!(f, "{command} AS OF TICK {tick}"),
            Self::Reader { id, command } => write!(f, "READER {} {command}", Quoted(id)),
        }
    }
}
