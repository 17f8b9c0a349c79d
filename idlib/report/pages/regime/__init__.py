"""What the page of dose, selection and regime says: tables, sentences, and what to do.

Each sentence for practice follows from the signs of the intervals that it speaks of. One that
holds zero is said to.
"""
