"""Builders of small worlds that tests of several stages share."""
