"""Makes a user of the team's server, or gives one that exists another role.

    python scripts/add_user.py ana trainer         # asks for the password, or reads one line
    python scripts/add_user.py board reader

A reader sees everything and changes nothing; a trainer runs pipelines: makes experiments, runs and
models, registers versions and moves aliases, and deletes no one's experiment or run (but may a
model: MLflow lets nobody else move an alias away from it). Whoever calls this is an administrator:
MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD say where and who. It
needs the packages of requirements-server.lock.
"""

import sys
import warnings
from getpass import getpass

warnings.filterwarnings("ignore", "starlette.middleware.wsgi is deprecated")

try:
    import click
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.server import get_app_client
    from mlflow.server.auth.client import AuthServiceClient
except ImportError as error:
    raise SystemExit(
        "add_user: this Python lacks packages of requirements-server.lock; type `uv run "
        "--no-project --python 3.11 --with-requirements requirements-server.lock python "
        "scripts/add_user.py …`"
    ) from error

_WORKSPACE = "default"
# What a role may do to every experiment and registered model of the server. Only MANAGE takes an
# alias away from a model, as a challenger that becomes champion loses its own; USE makes new ones.
ROLES = {
    "reader": [("experiment", "READ"), ("registered_model", "READ")],
    "trainer": [("workspace", "USE"), ("experiment", "EDIT"), ("registered_model", "MANAGE")],
}


@click.command()
@click.argument("name")
@click.argument("role", type=click.Choice(list(ROLES)))
def add_user(name: str, role: str) -> None:
    """Makes the user, or gives one that exists this role and no other."""
    client = get_app_client("basic-auth", mlflow.get_tracking_uri())
    try:
        is_new = _make_user(client, name)
        role_id = _role_id(client, role)
        for held in client.list_user_roles(name):
            if held.name in ROLES and held.id != role_id:
                client.unassign_role(name, held.id)
        if role_id not in [held.id for held in client.list_user_roles(name)]:
            client.assign_role(name, role_id)
    except MlflowException as error:
        raise click.ClickException(error.message) from error
    click.echo(f"{name} is {'a new' if is_new else 'now a'} {role}")


def _make_user(client: AuthServiceClient, name: str) -> bool:
    try:
        client.get_user(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        asked = getpass(f"password for {name}: ") if sys.stdin.isatty() else sys.stdin.readline()
        client.create_user(name, asked.rstrip("\n"))
        return True
    return False


def _role_id(client: AuthServiceClient, name: str) -> int:
    """The role's id; it is made, with what it may do, when the server does not have it yet."""
    found = [role.id for role in client.list_roles(_WORKSPACE) if role.name == name]
    role_id = found[0] if found else client.create_role(_WORKSPACE, name).id
    granted = {
        (held.resource_type, held.permission) for held in client.list_role_permissions(role_id)
    }
    for kind, permission in ROLES[name]:
        if (kind, permission) not in granted:
            client.add_role_permission(role_id, kind, "*", permission)
    return int(role_id)


if __name__ == "__main__":
    add_user()
