"""dlm train: a model, or the head of a control."""
