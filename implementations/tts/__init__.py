"""Text to speech: text to phonemes, FastSpeech2 to a mel spectrogram, a HiFi-GAN to samples."""
