"""How entry points become runs: command lines, chaining, failures. Knows no tables, no models."""
