"""The settings of deploy/serve.sh, for the scripts beside it."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import click
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

# What a setting, a file or the store answers with; it is for people, who need no traceback.
FAILURES = (Boto3Error, BotoCoreError, ClientError, OSError, ValueError)


def one_line(error: BaseException) -> str:
    """Returns what an error says, in one line and without the passwords of URLs."""
    line = " ".join(str(error).partition("[SQL:")[0].split())
    return re.sub(r"(postgresql(?:\+\w+)?://)[^@\s'\"]*@|(?<=://)[^/@\s'\"]+@", r"\1", line)


def setting(name: str) -> str:
    """Returns a setting of the server: a variable, or what is in the file that NAME_FILE names.

    Raises:
        click.ClickException: it is not set.
    """
    file = os.environ.get(f"{name}_FILE")
    value = Path(file).read_text(encoding="utf-8").strip() if file else os.environ.get(name)
    if not value:
        raise click.ClickException(f"{name} is not set; see the head of deploy/serve.sh")
    return value


def artifacts_destination() -> str:
    """Returns ARTIFACTS_DESTINATION, made ready: with its credentials, and its bucket if it is new.

    Raises:
        click.ClickException: it cannot be reached, or refuses.
    """
    destination = setting("ARTIFACTS_DESTINATION")
    if not destination.startswith("s3://"):
        return destination
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if f"{name}_FILE" in os.environ:
            os.environ[name] = setting(name)
    store = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
    bucket = urlsplit(destination).netloc
    try:
        store.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise click.ClickException(f"the bucket {bucket}: {error}") from error
        store.create_bucket(Bucket=bucket)
    except BotoCoreError as error:
        raise click.ClickException(f"the S3 store: {error}") from error
    return destination


if __name__ == "__main__":
    try:
        artifacts_destination()
    except (click.ClickException, *FAILURES) as error:
        sys.exit(f"serve.sh: {one_line(error)}")
