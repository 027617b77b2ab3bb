"""Text to speech: text front end, acoustic model, vocoder, and their chain."""
