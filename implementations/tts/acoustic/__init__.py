"""The acoustic model: phonemes to a mel spectrogram."""
