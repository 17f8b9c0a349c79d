"""What does it look like? The tables, pictures and sentences of the pages that explain."""
