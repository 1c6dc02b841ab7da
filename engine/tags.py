"""The tags by which the engine and its users talk of runs."""

CACHE_KEY = "pipeline.cache_key"
ERROR = "pipeline.error"
HOST = "pipeline.host"
OUTPUT_DIGEST = "pipeline.output_digest"
PID = "pipeline.pid"
PROCESS_STARTED = "pipeline.process_started"
RERUN_REASON = "pipeline.rerun_reason"
