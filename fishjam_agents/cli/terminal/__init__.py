"""A call shown in a terminal: what is said, what the bot is at, and the keys that lead it."""
