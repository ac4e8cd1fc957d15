//! The kernels of graphs, in WGSL.
//!
//! Two forms of each: *lanes*, for devices whose subgroups are 32 wide, collects a word's bits by a vote; *words*, for all others, has one invocation do a
//! whole group.

/// Invocations of a workgroup.
pub const WORKGROUP: u32 = 256;
/// Groups that a workgroup does at a time.
pub const fn at_a_time(lanes: bool) -> u32 {
    if lanes { WORKGROUP / 32 } else { WORKGROUP }
}

const COMMON: &str = "
fn look_up(low: u32, high: u32, index: u32) -> u32 {
    return (select(low, high, index >= 32u) >> (index & 31u)) & 1u;
}
";

const BLOCKS: &str = "
struct Block { source: u32, words: u32, out: u32, first: u32, groups: u32, a: u32, b: u32, c: u32 }
var<workgroup> held: array<u32, 2048>;
fn bit(position: u32) -> u32 {
    return (held[position >> 5u] >> (position & 31u)) & 1u;
}
";

/// The six loads of a group's lane and the two indexes that they make.
const INDEXES: &str = "
        let p0 = positions[at]; let p1 = positions[at + 32u]; let p2 = positions[at + 64u];
        let p3 = positions[at + 96u]; let p4 = positions[at + 128u]; let p5 = positions[at + 160u];
        let low = bit(p0 & 0xffffu) | (bit(p1 & 0xffffu) << 1u) | (bit(p2 & 0xffffu) << 2u)
            | (bit(p3 & 0xffffu) << 3u) | (bit(p4 & 0xffffu) << 4u) | (bit(p5 & 0xffffu) << 5u);
        let high = bit(p0 >> 16u) | (bit(p1 >> 16u) << 1u) | (bit(p2 >> 16u) << 2u)
            | (bit(p3 >> 16u) << 3u) | (bit(p4 >> 16u) << 4u) | (bit(p5 >> 16u) << 5u);
";

/// A loop over a workgroup's groups; `body` sets `a` and `b`, a lane's two bits, and `store` is given their words.
fn groups(lanes: bool, count: &str, body: &str, store: &str) -> String {
    if lanes {
        format!(
            "let lane = local & 31u;
    for (var g = local >> 5u; g < {count}; g += 8u) {{
        {body}
        let first = subgroupBallot(a != 0u).x;
        let second = subgroupBallot(b != 0u).x;
        if lane == 0u {{ {store} }}
    }}"
        )
    } else {
        format!(
            "for (var g = local; g < {count}; g += 256u) {{
        var first = 0u;
        var second = 0u;
        for (var lane = 0u; lane < 32u; lane += 1u) {{
            {body}
            first |= a << lane;
            second |= b << lane;
        }}
        {store}
    }}"
        )
    }
}

/// Evaluates blocks with windows. In place, the state is the binding that is written.
pub fn window(lanes: bool, in_place: bool) -> String {
    let source = if in_place { "into" } else { "source" };
    let unused = if in_place { "" } else { "@group(0) @binding(1) var<storage, read> source: array<u32>;" };
    let body = format!(
        "let group = block.first + g;
        let at = group * 192u + lane;
        let table = tables[group * 32u + lane];
        {INDEXES}
        let a = look_up(table.x, table.y, low);
        let b = look_up(table.z, table.w, high);"
    );
    let store = "into[block.out + 2u * g] = first; into[block.out + 2u * g + 1u] = second;";
    format!(
        "{COMMON}{BLOCKS}
@group(0) @binding(0) var<storage, read_write> into: array<u32>;
{unused}
@group(0) @binding(2) var<storage, read> tables: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> blocks: array<Block>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
    let number = workgroup.x + workgroup.y * 32768u;
    if number >= arrayLength(&blocks) {{ return; }}
    let block = blocks[number];
    for (var i = local; i < block.words; i += 256u) {{ held[i] = {source}[block.source + i]; }}
    if local == 0u {{ held[block.words] = 0u; }}
    workgroupBarrier();
    {}
}}",
        groups(lanes, "block.groups", &body, store)
    )
}

/// Picks bits of tiles.
pub fn exchange(lanes: bool) -> String {
    let body = "let offsets = positions[(block.first + g) * 32u + lane];
        let a = bit(offsets & 0xffffu);
        let b = bit(offsets >> 16u);";
    let store =
        "into[targets[2u * (block.first + g)]] = first; into[targets[2u * (block.first + g) + 1u]] = second;";
    format!(
        "{BLOCKS}
@group(0) @binding(0) var<storage, read_write> into: array<u32>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> blocks: array<Block>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
    let number = workgroup.x + workgroup.y * 32768u;
    if number >= arrayLength(&blocks) {{ return; }}
    let block = blocks[number];
    for (var i = local; i < block.words; i += 256u) {{ held[i] = source[block.source + i]; }}
    workgroupBarrier();
    {}
}}",
        groups(lanes, "block.groups", body, store)
    )
}

/// Evaluates groups with 32-bit sources. `blocks` has one element: where values go, nothing, nothing, 0, and how many groups.
pub fn direct(lanes: bool, in_place: bool) -> String {
    let source = if in_place { "into" } else { "source" };
    let unused = if in_place { "" } else { "@group(0) @binding(1) var<storage, read> source: array<u32>;" };
    let mut loads = String::new();
    for (n, which) in ["low", "high"].into_iter().enumerate() {
        for slot in 0..6 {
            let at = slot * 64 + n * 32;
            loads += &format!("let {which}{slot} = positions[at + {at}u];\n");
        }
    }
    for which in ["low", "high"] {
        loads += &format!("let {which} = bit({which}0)");
        for slot in 1..6 {
            loads += &format!(" | (bit({which}{slot}) << {slot}u)");
        }
        loads += ";\n";
    }
    let body = format!(
        "let group = begin + g;
        let at = group * 384u + lane;
        let table = tables[group * 32u + lane];
        {loads}
        let a = look_up(table.x, table.y, low);
        let b = look_up(table.z, table.w, high);"
    );
    let store = "into[block.out + 2u * group] = first; into[block.out + 2u * group + 1u] = second;";
    let store = store.replace("group]", "(begin + g)]").replace("group + 1u]", "(begin + g) + 1u]");
    let at_a_time = at_a_time(lanes);
    format!(
        "{COMMON}
struct Block {{ source: u32, words: u32, out: u32, first: u32, groups: u32, a: u32, b: u32, c: u32 }}
@group(0) @binding(0) var<storage, read_write> into: array<u32>;
{unused}
@group(0) @binding(2) var<storage, read> tables: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> blocks: array<Block>;
fn bit(place: u32) -> u32 {{
    return ({source}[place >> 5u] >> (place & 31u)) & 1u;
}}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
    let block = blocks[0];
    let begin = (workgroup.x + workgroup.y * 32768u) * {at_a_time}u;
    if begin >= block.groups {{ return; }}
    let count = min(block.groups - begin, {at_a_time}u);
    {}
}}",
        groups(lanes, "count", &body, &store)
    )
}

/// Evaluates patches, nodes of nine words: table, bits of sources, own bit.
pub const PATCHES: &str = "
@group(0) @binding(0) var<storage, read_write> into: array<u32>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (workgroup.x + workgroup.y * 32768u) * 256u + local;
    if at >= arrayLength(&into) { return; }
    var index = 0u;
    for (var slot = 0u; slot < 6u; slot += 1u) {
        let place = rows[at * 9u + 2u + slot];
        index |= ((source[place >> 5u] >> (place & 31u)) & 1u) << slot;
    }
    into[at] = (rows[at * 9u + (index >> 5u)] >> (index & 31u)) & 1u;
}";

/// Puts the patches' values in their places.
pub const PUT: &str = "
@group(0) @binding(0) var<storage, read_write> into: array<atomic<u32>>;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (workgroup.x + workgroup.y * 32768u) * 256u + local;
    if at >= arrayLength(&values) { return; }
    let place = rows[at * 9u + 8u];
    let mask = 1u << (place & 31u);
    if values[at] == 0u {
        atomicAnd(&into[place >> 5u], ~mask);
    } else {
        atomicOr(&into[place >> 5u], mask);
    }
}";

/// Says whether two states differ.
pub const COMPARE: &str = "
@group(0) @binding(0) var<storage, read_write> into: array<atomic<u32>>;
@group(0) @binding(1) var<storage, read> first: array<u32>;
@group(0) @binding(2) var<storage, read> second: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (workgroup.x + workgroup.y * 32768u) * 256u + local;
    if at < arrayLength(&first) && first[at] != second[at] { atomicStore(&into[0], 1u); }
}";

/// Says of each invocation whether it is the lane of a subgroup that kernels take it to be.
pub const PROBE: &str = "
@group(0) @binding(0) var<storage, read_write> into: array<u32>;
@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) size: u32,
) {
    let vote = subgroupBallot((local & 5u) == 1u).x;
    into[local] = select(0u, 1u, lane == (local & 31u) && size == 32u && vote == 0x0a0a0a0au);
}";
