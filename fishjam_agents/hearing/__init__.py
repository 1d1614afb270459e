"""The bot's hearing: packets of the room's microphones in, 20 ms frames and turn events out."""
