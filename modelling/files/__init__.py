"""How a table's file is written, and whether it changes while it is read."""
