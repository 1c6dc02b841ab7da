#!/usr/bin/env sh
# Compiles both locks from pyproject.toml, for Linux, macOS and Windows, with the hash of each file.
#
#     scripts/refresh_locks.sh             # what is pinned stays, if pyproject.toml allows it
#     scripts/refresh_locks.sh --upgrade   # everything as new as pyproject.toml allows
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile pyproject.toml --universal --python-version 3.11.7 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --quiet "$@"
}
compile --output-file requirements.lock "$@"
compile --group dev --constraints requirements.lock --output-file requirements-dev.lock "$@"
