"""What is typed on the command line."""
