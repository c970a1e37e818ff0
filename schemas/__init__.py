"""The contract of the log: what an event is, how it is read, written, named and refused. Pure: no I/O, no clock."""
