"""Trials of a sweep, here or on a Dask cluster."""
