"""Which parts of the recipe each step reads.

A step gets these and no others, so that the step cache knows what its result depends on: a part
that is not named here cannot be read there.
"""

READS = {
    "prepare": ("name", "task", "data", "split"),
    "train": (
        "name",
        "task",
        "data.target",
        "data.positive_class",
        "data.columns",
        "split.seed",
        "features",
        "sampling",
        "decision",
        "default_model",
        "models",
        "metrics",
        "autologging",
    ),
    "trial": (
        "name",
        "task",
        "data.target",
        "data.positive_class",
        "data.columns",
        "split.seed",
        "split.method",
        "features",
        "sampling",
        "decision",
        "default_model",
        "models",
        "metrics",
    ),
    "evaluate": ("name", "task", "data.target", "data.positive_class", "split.seed", "metrics"),
    "register": (
        "name",
        "task",
        "data.target",
        "data.positive_class",
        "split.seed",
        "metrics",
        "gate",
        "promotion",
    ),
    "rollback": ("name", "promotion.stage"),
    "score": ("name", "task", "data.drop", "drift"),
    "monitor": (
        "name",
        "task",
        "data.target",
        "data.positive_class",
        "split.seed",
        "metrics",
        "promotion",
        "monitor",
    ),
}
