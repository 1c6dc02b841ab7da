"""The order of the steps, what each depends on, and what is said at the end."""
