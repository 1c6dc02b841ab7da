"""Tables in, numbers, estimators and figures out: plain typed functions that know no run."""
