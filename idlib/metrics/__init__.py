"""How good is a prediction?"""
