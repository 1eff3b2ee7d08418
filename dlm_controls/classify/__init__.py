"""classify: the label of a classifier you trained."""
