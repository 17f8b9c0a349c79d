"""How much does a parameter matter, and how evenly is that spread?"""
