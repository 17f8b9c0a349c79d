"""The audit page: what the code of the earlier report did, on our own models and records.

What each bug computes stands in :mod:`idlib.audit.bugs`; here it is applied, and put into tables,
figures and sentences. A file for each part of the page.
"""
