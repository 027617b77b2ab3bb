"""What each operating system and GPU driver tells about the machine; every parser is a function of text."""
