#!/usr/bin/env bash
# Opens the MLflow UI on the project's store. `scripts/launch_mlflow.sh --help` says how.
set -euo pipefail

usage() {
    cat <<'END'
scripts/launch_mlflow.sh [PORT] [--host HOST] [--auth]
scripts/launch_mlflow.sh [PORT] --share [NAME ...] [--auth]
scripts/launch_mlflow.sh --production

Opens the MLflow UI on the store of MLFLOW_TRACKING_URI, or else on mlflow.db where you stand.
Ctrl-C ends it, and all that it started.

  PORT         the first port to try (5000); the next free one is taken
  --host HOST  where others can reach it, such as 0.0.0.0 (127.0.0.1: only this machine)
  --share      for a class: every machine of the network can open it by this one's names and
               addresses, and those given; all files go through the server, so that what one
               trains another can load. Start it in a folder of its own
  --auth       asks for a name and a password; the first start takes those of the user admin
               from MLFLOW_AUTH_ADMIN_PASSWORD (needs requirements-server.lock)
  --production the team's server, over PostgreSQL and S3 with users and roles: BACKEND_STORE_URI,
               ARTIFACTS_DESTINATION and more, see deploy/serve.sh and docs/operate/production.md
END
}

fail() {
    echo "launch_mlflow: $1" >&2
    exit "${2:-1}"
}

is_port() { [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le 65535 ]; }

project=$(cd "$(dirname "$0")/.." && pwd)
host=127.0.0.1
first_port=5000
with_auth=
share=
names=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit ;;
        --host) [ -n "${2:-}" ] || fail "--host needs a name or an address" 2; host=$2; shift ;;
        --host=?*) host=${1#--host=} ;;
        --auth) with_auth=yes ;;
        --share) share=yes; host=0.0.0.0 ;;
        --production) exec "$project/deploy/serve.sh" ;;
        -*) fail "there is no option $1; --help lists them" 2 ;;
        *)
            if is_port "$1"; then first_port=$1
            elif [ -n "$share" ]; then names+=("$1")
            else fail "$1 is no port: a number from 1 to 65535" 2
            fi ;;
    esac
    shift
done

# Python with the MLflow of the lock: the active one, or one that uv makes of the lock.
lock=$project/requirements.lock
[ -z "$with_auth" ] || lock=$project/requirements-server.lock
version=$(sed -n 's/^mlflow==\([^ ;]*\).*/\1/p' "$lock")
has_mlflow="import importlib.metadata as m, sys; sys.exit(m.version('mlflow') != '$version')"
# MLflow's part for passwords needs one package more.
[ -z "$with_auth" ] || has_mlflow="import flask_wtf; $has_mlflow"
if python -c "$has_mlflow" 2>/dev/null; then
    python=(python)
elif command -v uv >/dev/null; then
    python=(uv run --quiet --no-project --isolated --python 3.11 --with-requirements "$lock" python)
else
    fail "MLflow $version with the packages of $(basename "$lock") is not here: activate an environment that has them, or pip install uv"
fi

# The store that the pipeline would use. An SQLite database is made here, whole or not at all: a
# server and a pipeline that make it at once would break it.
read -r is_new store < <(PYTHONPATH=$project MLFLOW_LOGGING_LEVEL=ERROR "${python[@]}" -c '
import sys
from engine.failures import one_line
from engine.processes.no_account import survive_without_account
from tracking.mlflow_manager import database_file, init_mlflow, locate_store
from tracking.store_place import share_with_all
try:
    survive_without_account()
    database = database_file(locate_store())
    is_new = database and not database.exists()
    uri = init_mlflow()
    if is_new:
        print(f"There is no {database} yet: an empty one was made. Runs started here go to it.", file=sys.stderr)
    for name in share_with_all(database) if sys.argv[1:] and database else []:
        print(f"WARNING: the experiment {name} keeps its files on this machine, where others cannot load them: use --share in a new folder", file=sys.stderr)
    print("known", uri)
except Exception as error:
    print("failed", one_line(error))
' $share) || fail "the store could not be looked at"
case $is_new in
    failed) fail "$store" ;;
esac
shown_store=$store
case $store in
    sqlite:* | file:*) ;;
    *://*@*) shown_store=${store%%://*}://***@${store##*@} ;;
esac
case $store in
    http://* | https://*) echo "MLFLOW_TRACKING_URI names a server, which has the UI: $shown_store" && exit ;;
esac

is_for_others=
case $host in
    127.* | localhost | ::1) ;;
    *) is_for_others=yes
        [ -n "$with_auth" ] ||
        echo "WARNING: whoever reaches $host can read, change and delete all runs and models; --auth asks for a password" >&2 ;;
esac

# The names by which others reach this machine, which the server must know to answer them.
if [ -n "$is_for_others" ]; then
    while IFS= read -r name; do names+=("$name"); done < <("${python[@]}" -c '
import socket
import psutil
found = [address.address for each in psutil.net_if_addrs().values() for address in each
         if address.family == socket.AF_INET and not address.address.startswith("127.")]
name = socket.gethostname()
print(*dict.fromkeys([*found, name, f"{name}.local", socket.getfqdn()]), sep="\n")')
fi

reachable=$host # the wildcard addresses are for listening only
case $host in 0.0.0.0) reachable=127.0.0.1 ;; ::) reachable=::1 ;; esac
folder=$(mktemp -d "${TMPDIR:-/tmp}/launch_mlflow.XXXXXX")
log=$folder/server.log
server=
guard=

# Asks a group of processes to end, and makes it after some seconds.
end_group() {
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 0.25
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

# All of a server's processes are one group. The guard, a group of its own, waits for the end of a
# pipe that this script holds, and so ends the server also when the script is killed by kill -9.
start_server() { # port
    exec 9>&- # ends the guard of an earlier try, whose last act is to remove the folder
    [ -z "$guard" ] || { wait "$guard" || true; mkdir -m 700 "$folder"; }
    mkfifo "$folder/alive" && exec 9<>"$folder/alive"
    export MLFLOW_BACKEND_STORE_URI=$store # not an option, which `ps` shows with its password
    local command=("${python[@]}" -m mlflow server --workers 1 --host "$host" --port "$1")
    if [ -n "$is_for_others" ]; then
        local known=("${names[@]}" localhost 127.0.0.1) hosts origins
        hosts=$(printf "%s:$1," "${known[@]}") origins=$(printf "http://%s:$1," "${known[@]}")
        command+=(--allowed-hosts "${hosts%,}" --cors-allowed-origins "${origins%,}")
    fi
    [ -z "$share" ] || command+=(--serve-artifacts --artifacts-destination "$PWD/mlartifacts"
        --default-artifact-root mlflow-artifacts:/)
    if [ -n "$with_auth" ]; then
        command+=(--app-name basic-auth)
        umask 077 # basic_auth.db, where the server stands, holds the hashes of passwords
        [ -n "${MLFLOW_FLASK_SERVER_SECRET_KEY:-}" ] ||
            MLFLOW_FLASK_SERVER_SECRET_KEY=$("${python[@]}" -c "import secrets; print(secrets.token_hex())")
        export MLFLOW_FLASK_SERVER_SECRET_KEY
    fi
    # MLflow's background jobs are about traces and prompts: a dozen processes that nothing here needs.
    export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=${MLFLOW_SERVER_ENABLE_JOB_EXECUTION:-false}
    set -m
    "${command[@]}" </dev/null >"$log" 2>&1 9>&- &
    server=$!
    { trap '' INT TERM HUP; cat >/dev/null; end_group "$server"; rm -rf "$folder"; } <"$folder/alive" >/dev/null 2>&1 9>&- &
    guard=$!
    set +m
}

# shellcheck disable=SC2329 # the trap calls it
stop() {
    trap '' INT TERM HUP
    [ -z "$server" ] || end_group "$server"
    rm -rf "$folder"
}

# Starts the server at a port and waits until it listens there; fails if somebody else does.
listen_at() { # port
    start_server "$1"
    until grep -qs "Uvicorn running on" "$log"; do
        if ! kill -0 "$server" 2>/dev/null; then
            end_group "$server"
            grep -qis "address already in use" "$log" && return 1
            tail -n 5 "$log" >&2
            fail "the server ended"
        fi
        sleep 0.2
    done
}

is_taken() { (exec 3<>"/dev/tcp/$reachable/$1") 2>/dev/null; }

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

port=$first_port
while is_taken "$port" || ! listen_at "$port"; do
    port=$((port + 1))
    is_port "$port" || fail "no port from $first_port on is free"
done
[ "$port" = "$first_port" ] || echo "Port $first_port is in use."
case $reachable in *:*) reachable="[$reachable]" ;; esac
echo "MLflow UI  http://$reachable:$port"
# MLflow opens its part for GenAI unless the address asks for the other one.
echo "runs       http://$reachable:$port/#/experiments/0/runs?workflowType=machine_learning"
echo "store      $shown_store"
[ -z "$is_for_others" ] || printf "for all    http://%s:$port\n" "${names[@]}"
echo "Ctrl-C ends it."
wait "$server" || true
tail -n 5 "$log" >&2
fail "the server ended"
