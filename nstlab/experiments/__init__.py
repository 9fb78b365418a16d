"""Runs compared, swept over a grid, and made again from their pictures."""
