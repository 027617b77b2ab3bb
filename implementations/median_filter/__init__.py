"""Running medians over a spectrogram, along time and along frequency: nine tenths of separating harmonic from percussive."""
