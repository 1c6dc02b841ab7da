"""Whether a trial is not worth going on after its first folds or samples, by Optuna's pruners."""

import warnings
from collections.abc import Callable, Sequence

import optuna
from optuna.pruners import BasePruner, MedianPruner, ThresholdPruner, WilcoxonPruner

_WORSE_BY_CHANCE = 0.15

optuna.logging.set_verbosity(optuna.logging.ERROR)

_PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=0, n_warmup_steps=1),
    "halving": lambda: ThresholdPruner(upper=0.0),
    "wilcoxon": lambda: WilcoxonPruner(p_threshold=_WORSE_BY_CHANCE),
}


def is_hopeless(
    pruner: str, rival: Sequence[float], folds: Sequence[float], greater_is_better: bool
) -> bool:
    """Says, by Optuna's pruner, whether a trial need not go on after its first folds.

    Args:
        pruner: median or wilcoxon; or halving, by which a trial goes on from one sample of the rows
            to the next if it is no worse than half of those before it (Jamieson, Talwalkar:
            Non-stochastic best arm identification, 2016).
        rival: as `find_rival` gives it; of none, no trial is hopeless.
        folds: the scores so far; of halving those of the samples.
        greater_is_better: of the scores.
    """
    if not rival or len(folds) < (1 if pruner == "halving" else 2):
        return False
    sign = -1 if greater_is_better else 1
    # Their differences, since one fold is harder than another, for all trials alike.
    worse_by = [sign * (score - other) for score, other in zip(folds, rival, strict=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(pruner=_PRUNERS[pruner]())
        study.add_trial(
            optuna.trial.create_trial(
                value=0.0, intermediate_values=dict.fromkeys(range(len(rival)), 0.0)
            )
        )
        trial = study.ask()
        for step, difference in enumerate(worse_by):
            trial.report(difference, step)
        return trial.should_prune()
