"""What the page of pruning and balance says: a file for each of its parts."""
