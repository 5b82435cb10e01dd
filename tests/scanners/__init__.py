"""Scanners of other makers, on what the program deploys."""
