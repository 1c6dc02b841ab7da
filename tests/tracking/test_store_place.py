"""Where a store keeps the files of its runs."""

from mlflow import MlflowClient

from tracking.store_place import share_with_all


def test_of_a_shared_store_the_server_keeps_the_files_of_runs_to_come(make_database, tmp_path):
    client = MlflowClient(make_database(tmp_path))
    used = client.create_experiment("used", f"file://{tmp_path}/mlruns/1")
    before = client.create_run(used).info.artifact_uri
    assert share_with_all(tmp_path / "mlflow.db") == ["used"]
    assert client.create_run("0").info.artifact_uri.startswith("mlflow-artifacts:/0/")
    assert client.get_experiment(used).artifact_location in before
