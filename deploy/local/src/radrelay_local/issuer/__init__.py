"""The development token issuer: it gives a token to whoever asks. Never run it where others can reach it."""
