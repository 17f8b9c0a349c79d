"""How do notebooks become the book? Their parameters, and their execution."""
