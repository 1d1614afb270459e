"""What the official SDK brings for models of other vendors; each part needs its own package."""
