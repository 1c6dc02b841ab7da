"""The tags by which the engine and its users talk of runs."""

BLAS = "pipeline.blas"
CACHE_KEY = "pipeline.cache_key"
CPU = "pipeline.cpu"
ERROR = "pipeline.error"
REPORT_ERROR = "pipeline.report_error"
HOST = "pipeline.host"
OUTPUT_DIGEST = "pipeline.output_digest"
PID = "pipeline.pid"
PLATFORM = "pipeline.platform"
PROCESS_STARTED = "pipeline.process_started"
PYTHON = "pipeline.python"
RERUN_REASON = "pipeline.rerun_reason"
THREADS = "pipeline.threads"
TRIAL = "pipeline.trial"

LONGEST_TAG = 5000
"""Characters of a tag's text: older servers of MLflow take no more."""
