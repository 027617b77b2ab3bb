"""Sample rate conversion, as a plugin for audio-perf-harness."""
