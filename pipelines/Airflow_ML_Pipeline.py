"""Every night in Airflow: train, score the new rows, monitor, and after an alert train again.

Airflow finds it where AIRFLOW__CORE__DAGS_FOLDER is this folder; the night begins at 02:00, or with
values of one's own by `Trigger`. What came of an entry point is the XCom of its task; the night's
verdict is the task of that name which is not skipped. The rest: docs/use/orchestrators.md.
"""

import json
import logging
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from doors import PROJECT

_PROGRAMS = os.environ.get("CUVEE_BIN", str(Path(sys.executable).parent))
_FORM = {
    "recipe": Param("recipes/wine_quality.yaml", type="string", description="What to train."),
    "data": Param("auto", type="string", description="The table to train on; auto: the recipe's."),
    "method": Param(
        "train", enum=["train", "sweep"], description="sweep: search hyperparameters first."
    ),
    "model": Param("auto", type="string", description="Of the recipe; auto: its default."),
    "rows": Param("none", type="string", description="The table to score; none: nothing."),
    "scores": Param(
        "none", type="string", description="The file for the scores, replaced each night."
    ),
    "labelled": Param("none", type="string", description="The table to monitor on; none: nothing."),
}
# The values of the form reach the shell as variables, so that no value is taken for a command.
_VARIABLES = {name.upper(): f"{{{{ params.{name} }}}}" for name in _FORM}
_TRAIN = '{{ "sweep" if params.method == "sweep" else "main" }} --model="$MODEL"'
_VERDICTS = ("promoted", "challenger", "unchanged", "rejected")


def read_answer(line: str) -> dict[str, Any]:
    """What came of an entry point; of a failure, raises the one line that says why.

    What was refused as wrong usage is not tried again.
    """
    answer: dict[str, Any] = json.loads(line)
    if "is_final" in answer:
        raise (AirflowFailException if answer["is_final"] else AirflowException)(answer["error"])
    return answer


def door(task_id: str, options: str, needs: str = "RECIPE", **more: Any) -> BashOperator:
    """Runs an entry point of Cuvée; skipped where the form has `none` for what it needs."""
    run = f'exec python pipelines/doors.py {options} --recipe="$RECIPE"'
    return BashOperator(
        task_id=task_id,
        bash_command=f'[ "${needs}" = none ] && exit 99\n{run}',
        cwd=str(PROJECT),
        env={**_VARIABLES, "PATH": f"{_PROGRAMS}:{os.environ['PATH']}"},
        append_env=True,
        output_processor=read_answer,
        **more,
    )


with DAG(
    "cuvee",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params=_FORM,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(hours=6),
    },
    doc_md=__doc__,
) as night:

    @task.short_circuit(ignore_downstream_trigger_rules=False)  # the verdict is told anyway
    def alert(answer: dict[str, Any]) -> bool:
        """Goes on only if the champion is no longer what its evaluation promised."""
        return answer["status"] == "alert"

    @task.branch(trigger_rule="none_failed_min_one_success")
    def verdict(trained: dict[str, Any], retrained: dict[str, Any] | None) -> str:
        """Goes on to the task that bears the night's verdict; the reason is in its log."""
        answer = retrained or trained
        logging.getLogger(__name__).info("%s: %s", answer["verdict"], answer["reason"])
        return answer["verdict"]

    train = door("train", f'{_TRAIN} --data="$DATA"')
    score = door("score", 'score --input="$ROWS" --output="$SCORES" --overwrite=true', needs="ROWS")
    monitor = door(
        "monitor", 'monitor --data="$LABELLED"', needs="LABELLED", trigger_rule="none_failed"
    )
    retrain = door("retrain", f'{_TRAIN} --data="$LABELLED"')
    train >> score >> monitor
    alert(monitor.output) >> retrain
    verdict(train.output, retrain.output) >> [EmptyOperator(task_id=each) for each in _VERDICTS]
