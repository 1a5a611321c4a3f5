"""Prices: vendors and archives to validated daily bars and corporate actions."""
