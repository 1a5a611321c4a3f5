"""Headlines: feeds and archives to identified rows."""
