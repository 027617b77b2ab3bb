"""The text front end: text to phonemes."""
