"""Trains the small voice on speech that espeak-ng makes: sentences, sounds with times, features, FastSpeech2, HiFi-GAN."""
