"""Find landforms on Mars in plain words."""
