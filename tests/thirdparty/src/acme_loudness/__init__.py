"""Loudness per frame, as a plugin for audio-perf-harness."""
