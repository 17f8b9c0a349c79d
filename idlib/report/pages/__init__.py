"""What the page of one task says in words or small tables, from its records alone."""
