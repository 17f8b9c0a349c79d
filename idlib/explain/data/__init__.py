"""The data page: what ships with the project, how much there is, and what is wrong with it."""
