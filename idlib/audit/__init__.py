"""What did the earlier report's code do?"""
