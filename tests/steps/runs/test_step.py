"""What is wrong with the run id that a step is given."""

from types import SimpleNamespace

import pytest

from common.errors import InputError
from steps.runs.artifacts import find_run

WINES = SimpleNamespace(name="wines")


def test_a_run_that_is_not_of_the_step_and_recipe_or_not_finished_is_refused(client):
    def run(entry_point="prepare", recipe="wines", status="FINISHED"):
        tags = {"mlflow.project.entryPoint": entry_point, "pipeline.recipe": recipe}
        run_id = client.create_run("0", tags=tags).info.run_id
        if status != "RUNNING":
            client.set_terminated(run_id, status)
        return run_id

    whole = run()
    assert find_run(whole, "prepare", WINES).info.run_id == whole
    with pytest.raises(InputError, match="prepare_run_id: there is no run '0123' in sqlite"):
        find_run("0123", "prepare", WINES)
    for other, words in (
        (run(entry_point="train"), "is of train, not of prepare"),
        (run(recipe="churn"), "is of the recipe 'churn', not of 'wines'"),
        (run(status="FAILED"), "is FAILED, not FINISHED"),
        (run(status="RUNNING"), "is RUNNING, not FINISHED"),
    ):
        with pytest.raises(InputError, match=f"prepare_run_id: run {other} {words}"):
            find_run(other, "prepare", WINES)
    with pytest.raises(InputError, match=f"champion_run_id: run {whole} is of prepare, not of"):
        find_run(whole, "evaluate", WINES, "champion_run_id")
