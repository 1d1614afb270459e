"""Sound and pictures of a room: its clock, sources, playout, fan-out and recording taps."""
