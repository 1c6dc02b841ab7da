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
        "data.columns",
        "split.seed",
        "features",
        "default_model",
        "models",
        "autologging",
    ),
    "evaluate": ("name", "task", "data.target", "split.seed", "metrics"),
    "register": ("name", "task", "data.target", "split.seed", "metrics", "gate", "promotion"),
    "rollback": ("name", "promotion.stage"),
}
