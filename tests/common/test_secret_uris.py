"""URIs that must not be recorded, and those that may."""

import pytest

from common.secrets import holds_secret


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:hunter2@host/wines.csv",
        "https://token@host/wines.csv",
        "ftp://me:hunter2@host/wines.csv",
        "s3://key:secret@bucket/wines.csv",
        "https://host/w.csv?X-Amz-Algorithm=a&X-Amz-Signature=0123",
        "https://host/w.csv?sv=1&sig=0123",
        "https://host/w.csv?access_token=0123",
        "https://me:$A:hunter2@host/",
        "postgresql+psycopg2://mlflow:ab/cd+ef@db/mlflow",
    ],
)
def test_secrets(uri):
    assert holds_secret(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "data/wines.csv",
        "/data/me:a@b/wines.csv",
        "https://host/wines.csv?version=3",
        "https://me:$PASSWORD@host/wines.csv",
        "https://${TOKEN}@host/wines.csv",
        "https://host/w.csv?sig=$SIGNATURE",
        "abfss://container@account.dfs.core.windows.net/wines.csv",
        "s3://bucket/a@b.csv",
        "runs:/abc/wines.csv",
        "postgresql://mlflow:$PASSWORD@db/mlflow",
        "postgresql://db/mlflow",
    ],
)
def test_others(uri):
    assert not holds_secret(uri)
