"""Base classes, one in each file: of all estimators, of linear models, and of each task."""
