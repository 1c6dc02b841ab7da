"""A sweep: its trials, and what is shown of them."""
