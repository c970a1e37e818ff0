"""Replay: any part of the log into a file, a table or own code, without touching the live view.

Three steps. *Read*: each partition is read once, by one of several processes, decoded exactly as the projector does,
and what is asked for is put into a spool beside the output, with an index entry a record. *Decide*: from the index,
which record is the event where several carry one event_id. *Write*: the spool without what lost goes to the output. The
first step is the long one; it notes how far it is, so that a run that was stopped or killed goes on there.
"""
