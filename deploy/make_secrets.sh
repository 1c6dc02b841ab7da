#!/usr/bin/env bash
# Makes deploy/secrets/ with random passwords, once; prints nothing secret.
set -euo pipefail
cd "$(dirname "$0")"
[[ ! -e secrets ]] || { echo "make_secrets.sh: $PWD/secrets is there already" >&2; exit 1; }

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { printf %s "$2" >"secrets/$1"; }

# Only you may enter the folder; in it, the users inside the containers may read the one file they are given.
mkdir -m 700 secrets
postgres=$(random) access=$(random) secret=$(random)
keep postgres_password "$postgres"
keep backend_store_uri "postgresql+psycopg2://mlflow:$postgres@postgres/mlflow"
keep s3_access_key "$access"
keep s3_secret_key "$secret"
keep s3.json "{\"identities\": [{\"name\": \"mlflow\", \"credentials\": [{\"accessKey\": \"$access\", \"secretKey\": \"$secret\"}], \"actions\": [\"Admin\"]}]}"
keep admin_password "$(random)"
keep flask_secret_key "$(random)"
chmod 644 secrets/*
echo "made $PWD/secrets: the password of the user admin is in admin_password"
