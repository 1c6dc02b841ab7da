# What the orchestrators find in their environment; read it with `. pipelines/settings.sh`.
export DO_NOT_TRACK=1
export PREFECT_SERVER_ANALYTICS_ENABLED=false
export DAGSTER_DISABLE_TELEMETRY=1
export AIRFLOW__CORE__LOAD_EXAMPLES=false
