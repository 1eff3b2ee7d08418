"""`dlm train all`: a model, its teacher, writer and heads, figures and card, from one file."""
