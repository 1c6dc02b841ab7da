"""What a report shows, read from the runs of a pipeline; modelling/reporting draws it."""
