"""Text in, labelled boxes out."""
