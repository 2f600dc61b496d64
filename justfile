# What a developer runs here. Each recipe sets itself up in a fresh clone.

# Shows this menu
_menu:
    @just --justfile {{justfile()}} --list --unsorted

# About 20 seconds of a simulated plant, with kills and a report
demo *args:
    @node .ci/task.mjs demo {{args}}

# All tests, or those whose path contains the given words
test *args:
    @node .ci/task.mjs test {{args}}

# Packages, addon, compiled JavaScript
build:
    @node .ci/task.mjs build

# One benchmark by name, such as bus-rtt; without a name, which there are
bench *args:
    @node .ci/task.mjs bench {{args}}

# Whole commands timed with hyperfine (Debian: apt-get install hyperfine)
bench-cli *args:
    @node .ci/task.mjs bench cli {{args}}

# The long form of a test: soak NAME --times N --seed S
soak *args:
    @node .ci/task.mjs soak {{args}}

# Format, lint, types, dead code, C++ format; or only the ones named
lint *args:
    @node .ci/task.mjs lint {{args}}

# Mends what the tools can mend
fix:
    @node .ci/task.mjs fix

# One example by name; without a name, which there are
example *args:
    @node .ci/task.mjs example {{args}}

# Everything that a change must pass
ci:
    @bash .ci/run

# The tarball that would be published
pack:
    @npm pack
