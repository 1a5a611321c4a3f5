"""Data sets: from the warehouse to labelled training sets on disk, and back to the byte."""
