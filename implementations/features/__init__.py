"""Audio features of one recording, as librosa computes them: tempo, beats, timbre, dynamics, harmonic share, chroma, MFCC."""
