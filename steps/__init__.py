"""One file an entry point: it reads its inputs, calls modelling/, and writes through tracking/."""
