//! Reductions and look-ups on a device: one workgroup a chunk, whose partial results are combined here.

use std::fmt::Write;

use compute_protocol::{
    Column, Kind,
    reduce::{self, CHUNK, Partial, Values, Wanted},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Gpu, Scratch, dispatch};
use crate::executor::{Executor, Failure, Rows};

const KEYS: &str = "
fn key_i32(b: u32) -> u32 { return b ^ 0x80000000u; }
fn key_f32(b: u32) -> u32 {
    if (b << 1u) > 0xff000000u { return 0xffc00000u; }
    if (b << 1u) == 0u { return 0x80000000u; }
    return select(b | 0x80000000u, ~b, (b >> 31u) == 1u);
}
fn key_i64(b: vec2<u32>) -> vec2<u32> { return vec2<u32>(b.x, b.y ^ 0x80000000u); }
fn key_f64(b: vec2<u32>) -> vec2<u32> {
    let high = b.y & 0x7fffffffu;
    if high > 0x7ff00000u || (high == 0x7ff00000u && b.x != 0u) { return vec2<u32>(0u, 0xfff80000u); }
    if (high | b.x) == 0u { return vec2<u32>(0u, 0x80000000u); }
    if (b.y >> 31u) == 1u { return ~b; }
    return vec2<u32>(b.x, b.y | 0x80000000u);
}
fn wide(narrow: u32) -> vec2<u32> { return vec2<u32>(narrow, 0u); }
fn below(a: vec2<u32>, b: vec2<u32>) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }
fn plus(sum: vec2<u32>, x: u32) -> vec2<u32> {
    let low = sum.x + x;
    return vec2<u32>(low, sum.y + select(0u, 1u, low < x));
}
fn plus_wide(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < b.x));
}
";

/// A number in single precision as one in double precision, also where the device takes the least numbers for 0.
const WIDENED: &str = "
fn widened(bits: u32) -> f64 {
    if (bits & 0x7f800000u) == 0u {
        let magnitude = f64(bits & 0x7fffffu) * 1.401298464324817e-45lf;
        return select(magnitude, -magnitude, (bits >> 31u) == 1u);
    }
    return f64(bitcast<f32>(bits));
}
";

/// The four elements of an invocation in double precision; few columns have numbers that take the long way.
const DOUBLES: &str = "
var d0: f64; var d1: f64; var d2: f64; var d3: f64;
if any(((cv << vec4<u32>(1u)) - vec4<u32>(1u)) < vec4<u32>(0xffffffu)) {
    d0 = widened(cv.x); d1 = widened(cv.y); d2 = widened(cv.z); d3 = widened(cv.w);
} else {
    let n = bitcast<vec4<f32>>(cv);
    d0 = f64(n.x); d1 = f64(n.y); d2 = f64(n.z); d3 = f64(n.w);
}
";

/// Chunks that [`JOIN`] makes one of: a power of two, so that they are a branch of the tree.
const JOINED: u64 = 512;

/// Adds neighbours in pairs, again and again: counts and sums.
const JOIN: &str = "
@group(0) @binding(0) var<storage, read> p: array<u32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> sums: array<f64>;
struct Joined { sum: f64, count: u32, nothing: u32 }
@group(0) @binding(3) var<storage, read_write> joined: array<Joined>;
var<workgroup> c: array<u32, 512>;
var<workgroup> s: array<f64, 512>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = workgroup.x + workgroup.y * 32768u;
    if number * 512u >= p[0] { return; }
    for (var i = local; i < 512u; i += 256u) {
        let at = number * 512u + i;
        c[i] = 0u;
        s[i] = -0.0lf;
        if at < p[0] { c[i] = counts[at]; s[i] = sums[at]; }
    }
    for (var apart = 1u; apart < 512u; apart *= 2u) {
        workgroupBarrier();
        let at = local * apart * 2u;
        if at < 512u {
            c[at] += c[at + apart];
            s[at] = s[at] + s[at + apart];
        }
    }
    if local == 0u { joined[number] = Joined(s[0], c[0], 0u); }
}";

/// What it gives.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Joined {
    sum: f64,
    count: u32,
    nothing: u32,
}

/// The shape of a reduction: a kernel each.
struct Shape<'a> {
    kind: Kind,
    wanted: Wanted,
    filter: &'a [Kind],
}

/// Words of parameters: rows, first chunk, two unused, eight words a term; as many as a binding's offset is a multiple of.
const PARAMETERS: usize = 64;
// One term more than a guest may send: the best rows are found with one of their own.
const _: () = assert!(4 + 8 * (compute_protocol::limits::TERMS + 1) <= PARAMETERS);

impl Shape<'_> {
    /// Words that a chunk gives; a sum of doubles is kept apart.
    fn words(&self) -> usize {
        let sum = match self.kind {
            _ if !self.wanted.sum => 0,
            Kind::I32 => 2,
            Kind::I64 => 4,
            Kind::F32 | Kind::F64 => 0,
        };
        1 + sum + if self.wanted.extremes { 4 } else { 0 }
    }

    fn doubles(&self) -> bool {
        self.wanted.sum && self.kind.is_float()
    }

    /// The four elements of an invocation as bits, from row `row{n}` of a column on, as `{column}{n}_v` and perhaps `{column}{n}_w`.
    fn load(text: &mut String, column: &str, kind: Kind, n: usize) {
        let _ = if kind.width() == 4 {
            writeln!(text, "let {column}{n}_v = {column}[row{n} >> 2u];")
        } else {
            writeln!(
                text,
                "let {column}{n}_v = {column}[row{n} >> 1u]; let {column}{n}_w = {column}[(row{n} >> 1u) + 1u];"
            )
        };
    }

    fn element(name: &str, kind: Kind, at: usize) -> String {
        let letter = ["x", "y", "z", "w"][at];
        if kind.width() == 4 {
            format!("{name}_v.{letter}")
        } else {
            format!("{name}_{}.{}", ["v", "w"][at / 2], ["xy", "zw"][at % 2])
        }
    }

    fn key(name: &str, kind: Kind, at: usize) -> String {
        let element = Self::element(name, kind, at);
        match kind {
            Kind::I32 => format!("wide(key_i32({element}))"),
            Kind::F32 => format!("wide(key_f32({element}))"),
            Kind::I64 => format!("key_i64({element})"),
            Kind::F64 => format!("key_f64({element})"),
        }
    }

    /// What an invocation does with one of the four elements that it has loaded as number `unrolled`.
    fn take(&self, text: &mut String, unrolled: usize, at: usize) {
        let own = format!("c{unrolled}");
        let _ = writeln!(text, "{{ var passes = row{unrolled} + {at}u < p[0];");
        for (n, &kind) in self.filter.iter().enumerate() {
            let name = format!("f{n}{unrolled}");
            let _ = if kind.width() == 4 {
                // Bounds are within the kind's keys.
                let key = Self::key(&name, kind, at).replace("wide", "");
                let b = 4 + 8 * n;
                writeln!(
                    text,
                    "let k{n} = {key}; passes = passes && ((k{n} >= p[{b}] && k{n} <= p[{}]) != (p[{}] == 1u));",
                    b + 2,
                    b + 4
                )
            } else {
                let key = Self::key(&name, kind, at);
                writeln!(
                    text,
                    "let k{n} = {key}; passes = passes && ((!below(k{n}, least{n}) && !below(greatest{n}, k{n})) != negated{n});"
                )
            };
        }
        let _ = match (self.wanted.sum, self.kind) {
            (false, _) => Ok(()),
            (_, Kind::F32) => writeln!(text, "if passes {{ sum{at} += d{at}; }}"),
            (_, Kind::F64) => {
                let from = format!("d{unrolled}_{}.{}", ["v", "w"][at / 2], ["x", "y"][at % 2]);
                writeln!(text, "if passes {{ sum{at} += {from}; }}")
            }
            (_, Kind::I32) => writeln!(
                text,
                "low = plus(low, select(0u, key_i32({}), passes));",
                Self::element(&own, self.kind, at)
            ),
            (_, Kind::I64) => {
                let element = Self::element(&own, self.kind, at);
                writeln!(
                    text,
                    "low = plus(low, select(0u, {element}.x, passes)); high = plus(high, select(0u, {element}.y ^ 0x80000000u, passes));"
                )
            }
        };
        if self.wanted.extremes {
            let key = Self::key(&own, self.kind, at);
            let _ = writeln!(
                text,
                "let key = {key}; if passes && below(key, least) {{ least = key; }} if passes && below(greatest, key) {{ greatest = key; }}"
            );
        }
        if !self.filter.is_empty() {
            *text += "count += select(0u, 1u, passes);";
        }
        *text += "}\n";
    }

    fn text(&self) -> String {
        let mut t = String::from(KEYS);
        t += "@group(0) @binding(0) var<storage, read> p: array<u32>;
@group(0) @binding(1) var<storage, read_write> partials: array<u32>;\n";
        let needs_bits = self.needs_bits();
        if self.doubles() && self.kind == Kind::F32 {
            t += WIDENED;
        }
        if needs_bits {
            t += "@group(0) @binding(2) var<storage, read> c: array<vec4<u32>>;\n";
        }
        if self.doubles() && self.kind == Kind::F64 {
            t += "@group(0) @binding(3) var<storage, read> d: array<vec2<f64>>;\n";
        }
        if self.doubles() {
            t += "@group(0) @binding(4) var<storage, read_write> doubles: array<f64>;
var<workgroup> held: array<array<f64, 4>, 256>;\n";
        }
        for n in 0..self.filter.len() {
            let _ = writeln!(t, "@group(0) @binding({}) var<storage, read> f{n}: array<vec4<u32>>;", 5 + n);
        }
        t += "var<workgroup> wholes: array<vec4<u32>, 256>;
var<workgroup> keys: array<vec4<u32>, 256>;
var<workgroup> counts: array<u32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let chunk = workgroup.x + workgroup.y * 32768u;
    if chunk * 65536u >= p[0] { return; }
    var count = 0u;
    var low = vec2<u32>(0u); var high = vec2<u32>(0u);
    var least = vec2<u32>(0xffffffffu); var greatest = vec2<u32>(0u);\n";
        if self.doubles() {
            t += "var sum0 = -0.0lf; var sum1 = -0.0lf; var sum2 = -0.0lf; var sum3 = -0.0lf;\n";
        }
        for n in 0..self.filter.len() {
            let b = 4 + 8 * n;
            let _ = writeln!(
                t,
                "let least{n} = vec2<u32>(p[{b}], p[{}]); let greatest{n} = vec2<u32>(p[{}], p[{}]); let negated{n} = p[{}] == 1u;",
                b + 1,
                b + 2,
                b + 3,
                b + 4
            );
        }
        // Loads come first, so that many are under way.
        let together = if self.filter.is_empty() { 8 } else { 4 };
        let _ = writeln!(t, "for (var i = 0u; i < {}u; i += 1u) {{", 64 / together);
        for n in 0..together {
            let _ =
                writeln!(t, "let row{n} = chunk * 65536u + (i * {together}u + {n}u) * 1024u + local * 4u;");
            if needs_bits {
                Self::load(&mut t, "c", self.kind, n);
            }
            if self.doubles() && self.kind == Kind::F64 {
                Self::load(&mut t, "d", self.kind, n);
            }
            for (column, &kind) in self.filter.iter().enumerate() {
                Self::load(&mut t, &format!("f{column}"), kind, n);
            }
        }
        for n in 0..together {
            t += "{\n";
            if self.doubles() && self.kind == Kind::F32 {
                t += &DOUBLES.replace("cv", &format!("c{n}_v"));
            }
            for at in 0..4 {
                self.take(&mut t, n, at);
            }
            t += "}\n";
        }
        t += "}\n";
        self.tree(&mut t);
        t
    }

    /// Whether the column's bits are looked at, beside sums of doubles.
    fn needs_bits(&self) -> bool {
        self.wanted.extremes || self.wanted.sum && self.kind != Kind::F64
    }

    /// The end of a kernel: what 256 invocations have becomes one.
    fn tree(&self, t: &mut String) {
        let wholes = self.wanted.sum && !self.kind.is_float();
        let mut both = |text: &str, when: bool| {
            if when {
                *t += text;
            }
        };
        // Without a filter, all rows that there are.
        both(
            "count = select(0u, min(p[0] - chunk * 65536u, 65536u), local == 0u);\n",
            self.filter.is_empty(),
        );
        both("counts[local] = count;\n", true);
        both("held[local] = array<f64, 4>(sum0, sum1, sum2, sum3);\n", self.doubles());
        both("wholes[local] = vec4<u32>(low, high);\n", wholes);
        both("keys[local] = vec4<u32>(least, greatest);\n", self.wanted.extremes);
        both("for (var half = 128u; half > 0u; half >>= 1u) { workgroupBarrier(); if local < half {\n", true);
        both("counts[local] += counts[local + half];\n", true);
        both(
            "for (var i = 0u; i < 4u; i += 1u) { held[local][i] = held[local][i] + held[local + half][i]; }\n",
            self.doubles(),
        );
        both(
            "let a = wholes[local]; let b = wholes[local + half];
wholes[local] = vec4<u32>(plus_wide(a.xy, b.xy), plus_wide(a.zw, b.zw));\n",
            wholes,
        );
        both(
            "let k = keys[local]; let l = keys[local + half];
keys[local] = vec4<u32>(select(k.xy, l.xy, below(l.xy, k.xy)), select(k.zw, l.zw, below(k.zw, l.zw)));\n",
            self.wanted.extremes,
        );
        both("} }\nif local == 0u {\n", true);
        let words = self.words();
        both(&format!("let at = (p[1] + chunk) * {words}u; partials[at] = counts[0];\n"), true);
        both("let h = held[0]; doubles[p[1] + chunk] = (h[0] + h[2]) + (h[1] + h[3]);\n", self.doubles());
        both("let w = wholes[0]; partials[at + 1u] = w.x; partials[at + 2u] = w.y;\n", wholes);
        both("partials[at + 3u] = w.z; partials[at + 4u] = w.w;\n", wholes && self.kind == Kind::I64);
        let at = words - 4.min(words);
        both(
            &format!(
                "let e = keys[0]; partials[at + {at}u] = e.x; partials[at + {}u] = e.y;
partials[at + {}u] = e.z; partials[at + {}u] = e.w;\n",
                at + 1,
                at + 2,
                at + 3
            ),
            self.wanted.extremes,
        );
        both("} }\n", true);
    }

    /// A chunk's result from its words.
    fn partial(&self, words: &[u32], double: f64) -> Partial {
        let word = |at: usize| words.get(at).copied().unwrap_or(0);
        let pair = |at: usize| u64::from(word(at)) | u64::from(word(at + 1)) << 32;
        let mut partial = Partial { count: u64::from(word(0)), ..Partial::EMPTY };
        if self.wanted.sum {
            match self.kind {
                Kind::I32 => partial.whole = Partial::whole_of(partial.count, pair(1), None),
                Kind::I64 => partial.whole = Partial::whole_of(partial.count, pair(1), Some(pair(3))),
                Kind::F32 | Kind::F64 => partial.float = double,
            }
        }
        if self.wanted.extremes {
            let at = self.words() - 4;
            (partial.least, partial.greatest) = (pair(at), pair(at + 2));
        }
        partial
    }
}

impl Gpu {
    /// Part of a column for a binding: rows that lie in one page.
    fn column_part(
        &self,
        column: Column,
        first: u64,
        rows: u64,
    ) -> Result<(wgpu::Buffer, Option<(u64, u64)>), Failure> {
        let (at, bytes) = (first * column.kind.width(), rows * column.kind.width());
        let page = self.hardware.page;
        let buffer = self.table(column.table)?.pages.get((at / page) as usize).ok_or(Failure::Bounds)?;
        Ok((buffer.clone(), Some((at % page, bytes.next_multiple_of(16)))))
    }

    pub(super) fn reduce_rows(&mut self, rows: Rows<'_>, wanted: Wanted) -> Result<Partial, Failure> {
        self.reduce_partials(rows, wanted).map(reduce::combine)
    }

    /// What is to be combined: a result for each chunk, or for sums of floating-point numbers alone for each [`JOINED`].
    pub(super) fn reduce_partials(
        &mut self,
        rows: Rows<'_>,
        wanted: Wanted,
    ) -> Result<Vec<Partial>, Failure> {
        let kinds: Vec<Kind> = rows.filter.iter().map(|t| t.column.kind).collect();
        let shape = Shape { kind: rows.column.kind, wanted, filter: &kinds };
        for column in rows.filter.iter().map(|t| t.column).chain([rows.column]) {
            self.check_column(column.table, column.kind, rows.count)?;
        }
        if wanted.sum
            && (shape.doubles() && !self.hardware.has_f64
                || shape.kind.is_float() && !self.hardware.exact_sums)
        {
            return Err(Failure::Unsupported);
        }
        if rows.count == 0 {
            return Ok(Vec::new());
        }
        let chunks = rows.count.div_ceil(CHUNK as u64);
        let words = shape.words();
        let partials = self.hardware.scratch(Scratch::Partials, chunks * words as u64 * 4)?;
        let doubles =
            self.hardware.scratch(Scratch::Doubles, if shape.doubles() { chunks * 8 } else { 8 })?;
        let pipeline = self.hardware.pipeline(shape.text());
        let widest = kinds.iter().copied().chain([shape.kind]).map(Kind::width).max().unwrap_or(8);
        let slice = self.hardware.page / widest;
        // Parameters of every slice, and behind them those of what joins chunks.
        let mut all = vec![0u32; (rows.count.div_ceil(slice) as usize + 1) * PARAMETERS];
        for (n, parameters) in all.chunks_mut(PARAMETERS).enumerate() {
            let first = n as u64 * slice;
            parameters[0] =
                if first < rows.count { slice.min(rows.count - first) as u32 } else { chunks as u32 };
            parameters[1] = (first / CHUNK as u64) as u32;
            for (place, term) in parameters.get_mut(4..).unwrap_or(&mut []).chunks_mut(8).zip(rows.filter) {
                place.copy_from_slice(&bounds(term));
            }
        }
        let parameters = self.hardware.parameters(&all)?;
        let own = |n: u64| Some((n * PARAMETERS as u64 * 4, PARAMETERS as u64 * 4));
        let mut groups = Vec::new();
        for (n, first) in (0..).zip((0..rows.count).step_by(slice as usize)) {
            let count = slice.min(rows.count - first);
            let (column, part) = self.column_part(rows.column, first, count)?;
            let filters: Vec<_> = rows
                .filter
                .iter()
                .map(|t| self.column_part(t.column, first, count))
                .collect::<Result<_, _>>()?;
            let mut buffers = vec![(0, &parameters, own(n)), (1, &partials, None)];
            if shape.needs_bits() {
                buffers.push((2, &column, part));
            }
            if shape.doubles() && shape.kind == Kind::F64 {
                buffers.push((3, &column, part));
            }
            if shape.doubles() {
                buffers.push((4, &doubles, None));
            }
            buffers.extend((5..).zip(&filters).map(|(n, (buffer, part))| (n, buffer, *part)));
            groups.push((self.hardware.bind_again(&pipeline, &buffers), count.div_ceil(CHUNK as u64) as u32));
        }
        let mut encoder = self.hardware.encoder();
        let work: Vec<_> = groups.iter().map(|(group, count)| (&pipeline, group, *count)).collect();
        dispatch(&mut encoder, &work);
        if words == 1 && shape.doubles() && chunks > JOINED {
            // What is left of the tree is done here; its lower levels are done there.
            let joined = chunks.div_ceil(JOINED);
            let results = self.hardware.results(joined * size_of::<Joined>() as u64)?;
            let join = self.hardware.pipeline(JOIN.to_owned());
            let mut buffers = vec![(0, &parameters, own(groups.len() as u64))];
            buffers.extend((1..).zip([&partials, &doubles, &results]).map(|(n, b)| (n, b, None)));
            let group = self.hardware.bind_again(&join, &buffers);
            dispatch(&mut encoder, &[(&join, &group, joined as u32)]);
            let mut got = vec![Joined { sum: 0.0, count: 0, nothing: 0 }; joined as usize];
            self.hardware.fetch_results(encoder, &results, got.as_mut_bytes())?;
            return Ok(got.iter().map(|j| shape.partial(&[j.count], j.sum)).collect());
        }
        let mut got = vec![0u32; chunks as usize * words];
        let mut sums = vec![0f64; if shape.doubles() { chunks as usize } else { 0 }];
        let mut parts = [(&partials, 0, got.as_mut_bytes()), (&doubles, 0, sums.as_mut_bytes())];
        self.hardware.fetch_all(encoder, &mut parts)?;
        let partials = got.chunks(words).enumerate();
        let partials = partials.map(|(n, words)| shape.partial(words, sums.get(n).copied().unwrap_or(-0.0)));
        Ok(partials.collect())
    }

    /// Whether sums of numbers that are hard to add come out as defined.
    pub(super) fn check_sums(&mut self) -> Result<bool, Failure> {
        const TABLE: u32 = u32::MAX;
        let mut seed = 1u32;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed
        };
        // Every exponent but those that overflow, denormals among them.
        let bits: Vec<u32> = (0..CHUNK).map(|i| next() & 0x807f_ffff | (i as u32 % 128) << 23).collect();
        let column = Column { table: TABLE, kind: Kind::F32 };
        let wanted = Wanted { sum: true, extremes: false };
        if !self.hardware.has_f64 {
            return Ok(false);
        }
        let memory = std::mem::replace(&mut self.memory, u64::MAX);
        self.hardware.exact_sums = true;
        self.create(TABLE, CHUNK as u64 * 4)?;
        self.write(TABLE, 0, bits.as_bytes())?;
        let values = <[f32]>::ref_from_bytes(bits.as_bytes()).map_err(|_| Failure::Lost)?;
        let mut same = true;
        for count in [CHUNK, 1000] {
            // The first rows of denormals alone show whether those vanish.
            let got = self.reduce_rows(Rows { column, count: count as u64, filter: &[] }, wanted)?;
            let want = reduce::chunk(&Values::F32(values.get(..count).unwrap_or(&[])), None, wanted);
            same &= got.float.to_bits() == want.float.to_bits();
        }
        let tiny: Vec<u32> = (0..64).collect();
        self.write(TABLE, 0, tiny.as_bytes())?;
        let got = self.reduce_rows(Rows { column, count: 64, filter: &[] }, wanted)?;
        same &= got.float == f64::from(f32::from_bits(63 * 32));
        self.forget(TABLE)?;
        self.memory = memory;
        Ok(same)
    }

    pub(super) fn look_up_rows(
        &mut self,
        tables: u32,
        indexes: u32,
        rows: u64,
        into: &mut [u32],
    ) -> Result<(), Failure> {
        const TEXT: &str = "
@group(0) @binding(0) var<storage, read> tables: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> indexes: array<u32>;
@group(0) @binding(2) var<storage, read_write> into: array<u32>;
@group(0) @binding(3) var<storage, read> p: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let word = (workgroup.x + workgroup.y * 32768u) * 256u + local;
    if word * 32u >= p[0] { return; }
    var bits = 0u;
    let count = min(32u, p[0] - word * 32u);
    for (var i = 0u; i < count; i += 1u) {
        let row = word * 32u + i;
        let index = (indexes[row >> 2u] >> ((row & 3u) * 8u)) & 63u;
        let table = tables[row];
        bits |= ((select(table.x, table.y, index >= 32u) >> (index & 31u)) & 1u) << i;
    }
    into[word] = bits;
}";
        self.check_column(tables, Kind::I64, rows)?;
        if rows > self.table(indexes)?.bytes || into.len() as u64 != rows.div_ceil(32) {
            return Err(Failure::Bounds);
        }
        let pipeline = self.hardware.pipeline(TEXT.to_owned());
        // A slice's indexes lie in one page as its tables do.
        let slice = self.hardware.page / 8;
        let mut rest = into;
        for first in (0..rows).step_by(slice as usize) {
            let count = slice.min(rows - first);
            let column = Column { table: tables, kind: Kind::I64 };
            let (table, part) = self.column_part(column, first, count)?;
            let page = self.hardware.page;
            let bytes =
                self.table(indexes)?.pages.get((first / page) as usize).ok_or(Failure::Bounds)?.clone();
            let index_part = Some((first % page, count.next_multiple_of(16)));
            let words = count.div_ceil(32);
            let out = self.hardware.storage(words * 4)?;
            let parameters = self.hardware.upload([count as u32; 4].as_bytes())?;
            let buffers =
                [(0, &table, part), (1, &bytes, index_part), (2, &out, None), (3, &parameters, None)];
            let group = self.hardware.bind(&pipeline, &buffers);
            let mut encoder = self.hardware.encoder();
            dispatch(&mut encoder, &[(&pipeline, &group, words.div_ceil(256) as u32)]);
            let (piece, after) = rest.split_at_mut_checked(words as usize).ok_or(Failure::Bounds)?;
            self.hardware.fetch(encoder, (&out, 0), piece.as_mut_bytes())?;
            rest = after;
        }
        Ok(())
    }
}

/// A term as the kernel has it: two words of the least key, two of the greatest, and whether it is negated. Narrow keys lie within theirs.
fn bounds(term: &compute_protocol::Term) -> [u32; 8] {
    let last = term.column.kind.last();
    let (mut least, mut greatest) = (term.least, term.greatest.min(last));
    if least > last {
        // Nothing is within.
        (least, greatest) = (1, 0);
    }
    let halves = |key: u64| [key as u32, (key >> 32) as u32];
    let ([a, b], [c, d]) = (halves(least), halves(greatest));
    [a, b, c, d, u32::from(term.negated), 0, 0, 0]
}
