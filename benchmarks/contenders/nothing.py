"""An entry point without work: what is left is what a step costs."""
