"""dlm evaluate, dlm score, dlm nll: reading texts, measuring, writing reports."""
