"""Archives: files as people keep them, told apart by their bytes and read as tables of texts."""
