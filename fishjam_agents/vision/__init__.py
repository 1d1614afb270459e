"""Vision of a bot, by cameras and shared screens: times to look, and detection of new pictures."""
