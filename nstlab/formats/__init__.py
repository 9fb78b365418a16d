"""Picture files: which formats are opened, and how their bytes become numbers."""
