"""Quality of the turn-taking: the figures of `docs/quality.md`, measured by `python -m quality`.

Speech of espeak-ng and computed noises, chosen by a seed, go through the ears that a bot has, and through
whole conversations in virtual time. Nothing waits and nothing depends on the machine: one seed gives one
report.
"""
