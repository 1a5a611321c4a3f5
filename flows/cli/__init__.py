"""The commands, by what a person wants to do. Flows are imported when a command runs."""
