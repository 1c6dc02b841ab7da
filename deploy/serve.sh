#!/usr/bin/env bash
# The team's server: MLflow over PostgreSQL and S3, with users, roles and a list of hosts. In the image of
# deploy/Dockerfile and without it (`scripts/launch_mlflow.sh --production`) it is this script that runs.
#
# Settings are environment variables; of a secret one, NAME_FILE may name a file that holds the value instead.
# Nothing secret is on a command line.
#   BACKEND_STORE_URI              postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE
#   ARTIFACTS_DESTINATION          s3://BUCKET[/FOLDER]; with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where it
#                                  is not Amazon's, MLFLOW_S3_ENDPOINT_URL. Only the server needs these.
#   ALLOWED_HOSTS                  the names by which clients reach it, with commas: mlflow.example.com
#   MLFLOW_FLASK_SERVER_SECRET_KEY anything long and random, the same at every start
#   MLFLOW_AUTH_ADMIN_PASSWORD     of the user `admin`, at the first start
# and, with these defaults: CORS_ALLOWED_ORIGINS (https:// before each of ALLOWED_HOSTS), HOST (127.0.0.1),
# PORT (5000), WORKERS (2).
set -euo pipefail

fail() { echo "serve.sh: $1" >&2; exit 1; }

from_file() {
  local file_variable=$1_FILE
  local file=${!file_variable:-}
  [[ -n $file ]] || return 0
  [[ -r $file ]] || fail "$file_variable: $file cannot be read"
  export "$1=$(<"$file")"
  unset "$file_variable"
}

for name in BACKEND_STORE_URI AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY MLFLOW_FLASK_SERVER_SECRET_KEY \
  MLFLOW_AUTH_ADMIN_PASSWORD; do from_file "$name"; done
for name in BACKEND_STORE_URI ARTIFACTS_DESTINATION ALLOWED_HOSTS MLFLOW_FLASK_SERVER_SECRET_KEY; do
  [[ -n ${!name:-} ]] || fail "$name is not set; see the head of $0"
done

# A new store has no bucket yet.
python "$(dirname "$0")/settings.py"

# The users are kept in the same database. MLflow reads where from a file, which is nobody else's.
umask 077
settings=$(mktemp -d "${TMPDIR:-/tmp}/mlflow-users.XXXXXXXX")
cat >"$settings/basic_auth.ini" <<INI
[mlflow]
database_uri = ${BACKEND_STORE_URI//%/%%}
admin_username = admin
# Nobody may do what no role of theirs allows.
default_permission = NO_PERMISSIONS
# A password is compared in full once a minute; hashing it for every request would take most of the time.
auth_cache_ttl_seconds = 60
INI

origins=${CORS_ALLOWED_ORIGINS:-https://${ALLOWED_HOSTS//,/,https://}}
export MLFLOW_AUTH_CONFIG_PATH=$settings/basic_auth.ini
export MLFLOW_BACKEND_STORE_URI=$BACKEND_STORE_URI MLFLOW_ARTIFACTS_DESTINATION=$ARTIFACTS_DESTINATION
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # nothing here uses it; it takes as much memory as the server
unset BACKEND_STORE_URI MLFLOW_TRACKING_URI

exec mlflow server --app-name basic-auth --enable-workspaces --workers "${WORKERS:-2}" \
  --host "${HOST:-127.0.0.1}" --port "${PORT:-5000}" --serve-artifacts \
  --allowed-hosts "$ALLOWED_HOSTS" --cors-allowed-origins "$origins"
