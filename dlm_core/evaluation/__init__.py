"""What texts are worth: metrics, intervals, the teacher, the bound on the likelihood."""
