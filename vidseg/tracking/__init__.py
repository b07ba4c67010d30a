"""Text and prompts in, tracks out."""
