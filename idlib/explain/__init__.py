"""What does it look like? The tables, figures and sentences of the pages that explain."""
