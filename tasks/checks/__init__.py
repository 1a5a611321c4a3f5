"""Checks: look-ahead audit, canaries, integrity of what is stored."""
