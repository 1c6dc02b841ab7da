"""Where a store keeps the files of its runs."""

import pytest
from mlflow import MlflowClient

from tracking.store_place import check_files_reach_all, share_with_all


def test_of_a_shared_store_the_server_keeps_the_files_of_runs_to_come(make_database, tmp_path):
    client = MlflowClient(make_database(tmp_path))
    used = client.create_experiment("used", f"file://{tmp_path}/mlruns/1")
    before = client.create_run(used).info.artifact_uri
    assert share_with_all(tmp_path / "mlflow.db") == ["used"]
    assert client.create_run("0").info.artifact_uri.startswith("mlflow-artifacts:/0/")
    assert client.get_experiment(used).artifact_location in before


@pytest.mark.parametrize(
    ("tracking_uri", "files"),
    [
        ("sqlite:////srv/mlflow.db", "/srv/mlruns/0/1f/artifacts"),
        ("http://127.0.0.1:5000", "/srv/mlruns/0/1f/artifacts"),
        ("http://localhost:5000", "file:///srv/mlruns/0/1f/artifacts"),
        ("http://192.0.2.1:5000", "mlflow-artifacts:/0/1f/artifacts"),
        ("https://192.0.2.1", "s3://mlflow/0/1f/artifacts"),
    ],
)
def test_files_that_are_where_the_store_is_are_no_matter(tracking_uri, files):
    check_files_reach_all(tracking_uri, files)


@pytest.mark.parametrize(
    ("tracking_uri", "files", "says"),
    [
        (
            "http://192.0.2.1:5000",
            "/srv/mlruns/0/1f/artifacts",
            "a folder of its own machine, /srv",
        ),
        ("https://192.0.2.1", "file:///srv/mlruns/0", "nobody else could load the model"),
        (
            "sqlite:////srv/mlflow.db",
            "mlflow-artifacts:/0/1f",
            "name it by MLFLOW_TRACKING_URI=http",
        ),
    ],
)
def test_files_that_would_not_be_there_are_refused_in_a_line(tracking_uri, files, says):
    with pytest.raises(ConnectionError, match=says) as caught:
        check_files_reach_all(tracking_uri, files)
    assert "\n" not in str(caught.value)
