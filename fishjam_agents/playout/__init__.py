"""The bot's voice: pacing, what has been heard, pause, resume, interrupt."""
