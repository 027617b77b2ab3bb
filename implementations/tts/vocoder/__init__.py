"""HiFi-GAN vocoders: mel spectrogram in, wave out (`hifigan.py` is the model, `component.py` what is measured)."""
