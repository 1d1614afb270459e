"""Which room gets a bot: starting it, stopping it, cleaning up."""
