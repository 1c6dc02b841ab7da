"""What a store holds, and how runs of it differ: for the commands in scripts/."""
