"""What came out? Records as comparisons, verdicts, tables and figures; nothing here trains."""
