"""What a step needs of MLflow: its run, its artifacts, its provenance."""
