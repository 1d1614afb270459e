"""Output of one microphone: frames and turn events."""
