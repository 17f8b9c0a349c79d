"""Which runs are made, and where do they lie?"""
