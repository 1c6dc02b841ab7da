#!/usr/bin/env sh
# The code itself: its style, its types, and which folder may import which. In an environment that
# has the packages of requirements-dev.lock; .ci/run calls it before the tests.
set -eu
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
mypy
lint-imports
