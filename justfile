# `just ci` is what CI runs.

default: test

# The main job, on the embedded sandbox.
start *arguments:
    cargo run --release -- start {{arguments}}

test *arguments:
    cargo test {{arguments}}

lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# The lessons, proven: each check fails before its solution and passes after it.
lessons:
    cargo run --release -- author test lessons/gitops-with-werf

bench:
    benches/measure.sh

# Makes the tables of Kubernetes' types anew (needs Go, and kubectl's context on a Kubernetes 1.34.2).
schema:
    cd tools/schema && go run . > ../../src/cluster/embedded/schema/definitions.json
    cd tools/schema && go run ./openapi > ../../src/cluster/embedded/schema/openapi.json.gz

deny:
    cargo deny check bans licenses sources

ci:
    bash .ci/run
