#!/usr/bin/awk -f
# What `pytest -rA` says at its end, as lines `fail ID` and `passed N`.
function id(line) { sub(/^[A-Z]+ /, "", line); sub(/ - .*/, "", line); return line }
/^(FAILED|ERROR) [^ ]*::/ { failed[id($0)] = 1 }
/^PASSED [^ ]*::/ { passed[id($0)] = 1 }
END {
    for (t in failed) { print "fail " t; delete passed[t] }
    for (t in passed) n++
    print "passed " n + 0
}
