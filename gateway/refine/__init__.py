"""Refinement: what a reading means before it is judged and stored. Pure."""
