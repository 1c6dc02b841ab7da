"""The report of a run and its poster, drawn; steps/reporting reads what they show."""
