"""What an example is: when it is decided, what it may know, how it is labelled and worded.

Everything here is a pure function of its arguments: no file, no clock, no warehouse.
"""
