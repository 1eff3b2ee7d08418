"""What `dlm train init` decides: texts and vocabulary by the corpus, sizes by machine and time."""
