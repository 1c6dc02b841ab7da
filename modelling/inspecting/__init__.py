"""A model looked at closely: for whom, by what, and on rows of later."""
