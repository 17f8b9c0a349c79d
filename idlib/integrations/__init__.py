"""The method in other people's code."""
