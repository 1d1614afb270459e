"""What a bot sees of cameras and shared screens: when to look, and whether a picture shows anything new."""
