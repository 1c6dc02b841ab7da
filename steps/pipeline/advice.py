"""What to try when a model fell short, in words for the report and the terminal."""

from collections.abc import Mapping

from common.errors import InputError
from engine.command_line import typed_command
from modelling.recipe import Recipe


def advise(
    recipe: Recipe,
    path: str,
    model: str,
    verdict: str | None,
    figures: Mapping[str, float],
    was_sweep: bool,
) -> list[str]:
    """Returns what to change, and where; nothing where all is well.

    Args:
        recipe: the recipe.
        path: of its file.
        model: the name of the model that was trained.
        verdict: what became of it, if it came to that.
        figures: the metrics of its evaluation, if it came to that.
        was_sweep: whether the model came from a sweep.
    """
    words = []
    if verdict == "rejected":
        words.append(_after_rejection(recipe, path, model, was_sweep))
    taken = figures.get("true_positives", 1) + figures.get("false_positives", 1)
    if not taken and recipe.decision.threshold != "tuned":
        words.append(_of_the_threshold(recipe, path))
    return words


def commands_to_try(recipe: Recipe, model: str, was_sweep: bool) -> list[str]:
    """Returns the commands of what may be tried after a rejection, in the form that was typed."""
    typed = typed_command()
    others = [typed.again(model=name) for name in recipe.models if name != model]
    sweep = [typed.again("sweep")] if not was_sweep and _can_be_swept(recipe) else []
    return [*others[:1], *sweep]


def _can_be_swept(recipe: Recipe) -> bool:
    # Here, since main imports this file, and need not wait for scikit-learn.
    from modelling.search.space import build_space

    try:
        build_space(recipe, "auto", {})
    except InputError:  # there is nothing to sweep
        return False
    return True


def _after_rejection(recipe: Recipe, path: str, model: str, was_sweep: bool) -> str:
    others = [name for name in recipe.models if name != model]
    first = f"another model (-P model={' or '.join(others)}), " if others else ""
    then = "other ranges or more trials" if was_sweep else "a sweep (-e sweep)"
    return f"{first}{then}, or other limits (gate in {path})"


def _of_the_threshold(recipe: Recipe, path: str) -> str:
    """A classifier may find nothing at all, and all its other figures look well."""
    name = recipe.about.name_class(recipe.data.target, recipe.data.positive_class)
    return (
        f"another threshold (threshold: tuned, metric: f1 under decision in {path}): no test row "
        f"is taken for {name}, since none reaches a probability of "
        f"{recipe.decision.threshold:g}"
    )
