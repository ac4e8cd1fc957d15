#!/usr/bin/env python3
"""SHOWN of the regression files without the statements that need constructs of later issues.

usage: without_later.py RUNNER SOURCE RESULTS LIST
RUNNER is run_pg_regress.py, SOURCE the folder of the regression files, RESULTS what the runner was given as --out, LIST
lines of a file, a statement's number in it (in the order in which the runner counts), and the construct.

The list was made with PostgreSQL itself: it has the statements that PostgreSQL 15 answers as expected, and no longer does
where an event trigger refuses the constructs (partitions, PL/pgSQL and DO, triggers, rules), and where the types and functions
of ranges and text search have other names. The construct is the first of these that suffices alone.
"""
import collections, importlib.util, pathlib, sys


def load(path):
    spec = importlib.util.spec_from_file_location("runner", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(runner, source, name, text):
    """The expected outputs, with the lines that the runner changes."""
    original = (source / "sql" / (name + ".sql")).read_text(errors="surrogateescape")
    for path in [source / "expected" / (name + ".out")] + sorted((source / "expected").glob(name + "_[0-9].out")):
        out = path.read_text(errors="surrogateescape")
        for before, now in zip(original.split("\n"), text.split("\n")):
            if before != now:
                out = out.replace(before, now, 1)
        yield out


def statements(runner, source, results, name):
    """{number: answered as expected} of the statements that are shown."""
    text = runner.portable(source / "sql" / (name + ".sql"), source, results)
    actual = (results / "results" / (name + ".out")).read_text(errors="surrogateescape")
    best = max(expected(runner, source, name, text), key=lambda e: runner.score(text, actual, e, False)[0])
    lines = [line for line in text.split("\n") if line.strip()]
    got, _ = runner.blocks(lines, actual.split("\n"))
    want, data = runner.blocks(lines, best.split("\n"))
    found, number = {}, 0
    for i, line in enumerate(lines):
        if i in data or not runner.ends_statement(line):
            continue
        number += 1
        wanted = runner.norm(want.get(i, []), False)
        if wanted.strip() and "QUERYPLAN" not in wanted:
            found[number] = i in got and runner.norm(got[i], False) == wanted
    return found


def main():
    runner, (source, results, listed) = load(sys.argv[1]), map(pathlib.Path, sys.argv[2:5])
    source, results = source.resolve(), results.resolve()
    later = collections.defaultdict(dict)
    for line in listed.read_text().splitlines():
        name, number, construct = line.split("\t")
        later[name][int(number)] = construct
    matched = total = 0
    for name in (source / "schedule").read_text().split():
        if name == "test_setup":
            continue
        for number, right in statements(runner, source, results, name).items():
            if number not in later[name]:
                total += 1
                matched += right
            elif right:
                print("PASSES %s %d needs no %s" % (name, number, later[name][number]))
    count = sum(map(len, later.values()))
    rows = [line.split("\t") for line in (source / "ceiling.tsv").read_text().splitlines() if line[:1] != "#"]
    own = sum(int(row[1]) for row in rows[1:]) - count
    print("WITHOUT LATER CONSTRUCTS %d/%d = %.2f%%, %.2f%% of PostgreSQL's own %d (%d statements need one)"
          % (matched, total, 100.0 * matched / total, 100.0 * matched / own, own, count))


if __name__ == "__main__":
    main()
