"""`dlm serve`: texts over HTTP, as OpenAI's completions."""
