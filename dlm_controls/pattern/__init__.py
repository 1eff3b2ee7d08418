"""pattern, keyword and avoid: regular languages of words."""
