"""Makes the embedded corpus from the pages of LibreOffice Help, in sixteen languages."""
