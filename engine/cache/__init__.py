"""Whether a step runs again: its key, and the code that it is made of."""
