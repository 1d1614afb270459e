"""What one microphone says: frames and turn events."""
