"""Sitewarden: an edge gateway for safety sensors. The rooms are mapped in README.md beside this file."""

__version__ = "0.1.0"
