"""Which parts of the recipe each step reads.

A step gets these and no others, so that the step cache knows what its result depends on: a part
that is not named here cannot be read there.
"""

_FITTED = (
    "name",
    "task",
    "data.target",
    "data.weight",
    "data.positive_class",
    "data.columns",
    "split.seed",
    "code",
    "features",
    "target",
    "sampling",
    "decision",
    "default_model",
    "models",
    "metrics",
)
_MEASURED = (
    *("name", "task", "data.target", "data.weight", "data.positive_class"),
    *("split.seed", "code", "metrics"),
)

READS = {
    "prepare": ("name", "task", "code", "data", "split"),
    "train": (*_FITTED, "split.method", "split.gap", "intervals", "autologging"),
    "trial": (*_FITTED, "split.method", "split.gap"),
    "evaluate": (*_MEASURED, "split.method", "slices", "plots", "checks.functions", "about.labels"),
    "register": (*_MEASURED, "split.method", "gate", "promotion", "about"),
    "rollback": ("name", "promotion.stage"),
    "score": (
        *("name", "task", "drift"),
        *("data.drop", "data.source_column", "data.encoding", "data.sheet"),
    ),
    "monitor": (
        *_MEASURED,
        *("data.target_format", "data.loader", "data.source_column", "data.encoding"),
        *("data.sheet", "data.columns", "data.where", "data.filter"),
        *("split.method", "split.column", "promotion", "monitor"),
    ),
}
