//! What sorts and hash tables took, in PostgreSQL's words.

use alloc::{format, string::String, vec::Vec};

use super::{Actual, Held, Item, Property};

type Line = (&'static str, Property);

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

fn line(text: String, properties: Vec<Line>) -> Line {
    ("", Property::Several(text, properties))
}

fn of(actual: Option<Actual>) -> Option<Held> {
    actual.filter(|a| a.loops > 0)?.held
}

/// `Sort Method: quicksort  Memory: 25kB`
pub(super) fn sort(item: &mut Item) {
    let Some(held) = of(item.actual) else { return };
    let (method, space, used) = match (held.disk, held.top) {
        (0, false) => ("quicksort", "Memory", held.memory),
        (0, true) => ("top-N heapsort", "Memory", held.memory),
        (disk, _) => ("external merge", "Disk", disk),
    };
    let used = kilobytes(used);
    let text = format!("Sort Method: {method}  {space}: {used}kB");
    let properties = Vec::from([
        ("Sort Method", Property::Text(method.into())),
        ("Sort Space Used", Property::Number(used)),
        ("Sort Space Type", Property::Text(space.into())),
    ]);
    item.properties.push(line(text, properties));
}

/// `Full-sort Groups: 3  Sort Method: quicksort  Average Memory: 25kB  Peak Memory: 25kB`
pub(super) fn portions(item: &mut Item) {
    let Some(held) = of(item.actual) else { return };
    let (method, space) = match held.disk {
        0 => ("quicksort", "Memory"),
        _ => ("external merge", "Disk"),
    };
    let used = |bytes| kilobytes(if held.disk == 0 { bytes } else { held.disk });
    let (average, peak) = (used(held.average), used(held.memory));
    let text = format!(
        "Full-sort Groups: {}  Sort Method: {method}  Average {space}: {average}kB  Peak {space}: {peak}kB",
        held.batches
    );
    let properties = Vec::from([
        ("Group Count", Property::Number(held.batches)),
        ("Sort Methods Used", Property::List(Vec::from([String::from(method)]))),
    ]);
    item.properties.push(line(text, properties));
}

/// `Batches: 1  Memory Usage: 24kB`
pub(super) fn aggregate(item: &mut Item) {
    let Some(held) = of(item.actual) else { return };
    let (memory, disk) = (kilobytes(held.memory), kilobytes(held.disk));
    let mut text = format!("Batches: {}  Memory Usage: {memory}kB", held.batches);
    if disk > 0 {
        text.push_str(&format!("  Disk Usage: {disk}kB"));
    }
    let properties = Vec::from([
        ("HashAgg Batches", Property::Number(held.batches)),
        ("Peak Memory Usage", Property::Number(memory)),
        ("Disk Usage", Property::Number(disk)),
    ]);
    item.properties.push(line(text, properties));
}

/// `Buckets: 1024  Batches: 1  Memory Usage: 9kB`, of a join.
pub(super) fn table(join: Option<Actual>) -> Vec<Line> {
    let Some(held) = of(join) else { return Vec::new() };
    let Held { buckets, batches, memory, .. } = held;
    let memory = kilobytes(memory);
    let text = format!("Buckets: {buckets}  Batches: {batches}  Memory Usage: {memory}kB");
    let properties = Vec::from([
        ("Hash Buckets", Property::Number(buckets)),
        ("Original Hash Buckets", Property::Number(buckets)),
        ("Hash Batches", Property::Number(batches)),
        ("Original Hash Batches", Property::Number(1)),
        ("Peak Memory Usage", Property::Number(memory)),
    ]);
    Vec::from([line(text, properties)])
}
