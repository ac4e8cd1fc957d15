//! What was promised, and what comes of it.

use crate::{
    Bench, Measured,
    graphs::{Edges, Shape},
    heading,
    machine::Machine,
};

/// Measures the cases with a goal and prints a line for each goal.
pub fn run(bench: &Bench) {
    println!("{}", Machine::measure(bench, bench.path));
    heading();
    let case = |nodes, ranks, edges, own_tables| bench.case(&Shape { nodes, ranks, edges, own_tables });
    let grid = case(1_000_000, 3, Edges::Grid, false);
    let three = case(10_000_000, 3, Edges::Uniform, false);
    let sixteen = case(10_000_000, 16, Edges::Uniform, false);
    let small = case(1_000, 4, Edges::Uniform, false);
    let middle = case(64_000, 16, Edges::Uniform, false);
    let own = case(1_000_000, 16, Edges::Uniform, true);
    println!("\n{:<58} {:>9} {:>9} {:>9} {:>10}", "goal", "asked", "measured", "2 x core", "seven-col");
    let rate = |name, asked, of: &Option<Measured>, nodes: f64| {
        let Some(m) = of else { return };
        let seven = m.seven.map(|s| nodes / s / 1e9);
        line(name, asked, Some(m.rate), m.core_rate.map(|r| 2.0 * r), seven);
    };
    rate("1M nodes, grid, 3 ranks: G node updates/s", ">= 1.5", &grid, 1e6);
    rate("10M nodes, uniform random, 3 ranks: G node updates/s", ">= 0.6", &three, 1e7);
    rate("10M nodes, uniform random, 16 ranks: G node updates/s", ">= 0.6", &sixteen, 1e7);
    let micros = |seconds: f64| seconds * 1e6;
    if let Some(m) = &small {
        line("1K nodes, 4 ranks: us a tick", "<= 3", Some(micros(m.full)), None, m.seven.map(micros));
    }
    for (name, of) in [("1K nodes", &small), ("64K nodes", &middle), ("1M nodes, grid", &grid)] {
        let Some((clock, core)) = of.as_ref().and_then(|m| m.scenarios) else { continue };
        let name = format!("4096 scenarios, {name}: G node scenarios/s");
        line(&name, ">= 20", Some(clock), core.map(|r| 2.0 * r), None);
    }
    for (name, of) in [("3 ranks", &three), ("16 ranks", &sixteen)] {
        let Some(m) = of else { continue };
        let one = format!("10M nodes, {name}, a flip with a cone of 100: us a tick");
        line(&one, "<= 20", m.cones.single.map(micros), None, m.seven.map(micros));
        let dirty = format!("10M nodes, {name}, 1 % of leaves flipped: ms a tick");
        let asked = format!("<= {:.1}", m.full * 1e3);
        line(&dirty, &asked, m.cones.hundredth.map(|s| s * 1e3), None, m.seven.map(|s| s * 1e3));
    }
    if let Some(m) = &own {
        let name = "six inputs, a table of its own each: bytes a node";
        line(name, "<= 44", Some(m.bytes.0), None, None);
    }
}

fn line(name: &str, asked: &str, measured: Option<f64>, cores: Option<f64>, seven: Option<f64>) {
    let show = |x: Option<f64>, digits: usize| x.map_or("-".into(), |x| format!("{x:.digits$}"));
    println!("{name:<58} {asked:>9} {:>9} {:>9} {:>10}", show(measured, 2), show(cores, 2), show(seven, 3));
}
