"""The search for hyperparameters: its space, its order, its folds."""
