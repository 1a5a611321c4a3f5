"""Units of work, one folder for each stage of a headline's way; no orchestration."""
