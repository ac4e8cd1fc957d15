//! The window functions proper.

use alloc::sync::Arc;

use pg_functions::Function;
use pg_types::{Result, SqlError, SqlState, Value, Vector, vector::VectorBuilder};

use super::frame::{Frame, Partition};
use crate::context::Rt;

/// Results of one call for the rows of a partition, appended to `out`.
pub(super) fn compute(
    function: &Function,
    args: &[Arc<Vector>],
    partition: &Partition,
    frame: &Frame,
    out: &mut VectorBuilder,
    rt: &Rt<'_, '_>,
) -> Result<()> {
    let rows = partition.end - partition.start;
    let value = |n: usize, row: usize| args.get(n).map_or(Value::Null, |a| a.value(row));
    let number = |n: usize, row: usize| match value(n, row) {
        Value::Int4(k) => Some(i64::from(k)),
        _ => None,
    };
    let mut tiles = None;
    for row in partition.start..partition.end {
        if row % 4096 == 0 {
            rt.cx.checkpoint()?;
        }
        let at = row - partition.start;
        let (first_peer, after_peers) = partition.peers(row);
        let rank = first_peer - partition.start + 1;
        let result = match function.name {
            "row_number" => Value::Int8(at as i64 + 1),
            "rank" => Value::Int8(rank as i64),
            "dense_rank" => Value::Int8(partition.group_of(row) as i64 + 1),
            "percent_rank" if rows <= 1 => Value::Float8(0.0),
            "percent_rank" => Value::Float8((rank - 1) as f64 / (rows - 1) as f64),
            "cume_dist" => Value::Float8((after_peers - partition.start) as f64 / rows as f64),
            "ntile" => {
                // The argument of the partition's first row counts.
                if tiles.is_none() {
                    tiles = Some(number(0, partition.start));
                }
                match tiles.flatten() {
                    None => Value::Null,
                    Some(n) if n <= 0 => {
                        return Err(SqlError::new(
                            SqlState::INVALID_ARGUMENT_FOR_NTILE_FUNCTION,
                            "argument of ntile must be greater than zero",
                        ));
                    }
                    Some(n) => Value::Int4(tile(at as i64, rows as i64, n)),
                }
            }
            "lag" | "lead" => {
                let distance = if args.len() > 1 { number(1, row) } else { Some(1) };
                let Some(distance) = distance else {
                    out.push_null();
                    continue;
                };
                let distance = if function.name == "lag" { -distance } else { distance };
                let target = row as i64 + distance;
                if target >= partition.start as i64 && target < partition.end as i64 {
                    value(0, target as usize)
                } else {
                    value(2, row)
                }
            }
            "first_value" => {
                let pieces = frame.pieces(row, partition)?;
                pieces
                    .iter()
                    .find(|(start, end)| start < end)
                    .map_or(Value::Null, |(start, _)| value(0, *start))
            }
            "last_value" => {
                let pieces = frame.pieces(row, partition)?;
                let last = pieces.iter().rev().find(|(start, end)| start < end);
                last.map_or(Value::Null, |(_, end)| value(0, end - 1))
            }
            "nth_value" => {
                let pieces = frame.pieces(row, partition)?;
                match number(1, row) {
                    None => Value::Null,
                    Some(n) if n <= 0 => {
                        return Err(SqlError::new(
                            SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE_FUNCTION,
                            "argument of nth_value must be greater than zero",
                        ));
                    }
                    Some(n) => nth(pieces, n as usize - 1).map_or(Value::Null, |row| value(0, row)),
                }
            }
            other => return Err(SqlError::unsupported(alloc::format!("window function {other}"))),
        };
        out.push(&result)?;
    }
    Ok(())
}

/// Row number `n`, from 0, of a frame's pieces.
fn nth(pieces: [(usize, usize); 3], mut n: usize) -> Option<usize> {
    for (start, end) in pieces {
        if n < end - start {
            return Some(start + n);
        }
        n -= end - start;
    }
    None
}

/// Tile, from 1, of row `at` when so many rows are dealt to `n` tiles, the first ones taking what is left over.
fn tile(at: i64, rows: i64, n: i64) -> i32 {
    let (size, larger) = (rows / n, rows % n);
    let in_larger = larger * (size + 1);
    let tile = match size {
        _ if at < in_larger => at / (size + 1),
        0 => at,
        size => larger + (at - in_larger) / size,
    };
    tile as i32 + 1
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::tile;

    #[test]
    fn tiles_differ_by_one_row_at_most() {
        let deal = |rows, n| (0..rows).map(|at| tile(at, rows, n)).collect::<Vec<_>>();
        assert_eq!(deal(7, 3), [1, 1, 1, 2, 2, 3, 3]);
        assert_eq!(deal(2, 4), [1, 2]);
        assert_eq!(deal(4, 2), [1, 1, 2, 2]);
        assert_eq!(deal(3, 1), [1, 1, 1]);
    }
}
