"""Tables: read, checked, split, digested, described."""
