#!/usr/bin/env sh
# Compiles the locks from pyproject.toml, for Linux, macOS and Windows, with the hash of each file:
# requirements.lock, and of each dependency group requirements-<group>.lock, with the same pins.
#
#     scripts/refresh_locks.sh             # what is pinned stays, if pyproject.toml allows it
#     scripts/refresh_locks.sh --upgrade   # everything as new as pyproject.toml allows
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile pyproject.toml --universal --python-version 3.11.7 --generate-hashes \
        --no-header --quiet "$@"
}
compile --output-file requirements.lock "$@"
for group in dev boosting dask server notebooks; do
    compile --group "$group" --constraints requirements.lock \
        --output-file "requirements-$group.lock" "$@"
done
