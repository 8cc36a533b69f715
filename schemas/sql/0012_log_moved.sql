-- A log that was copied says so: its copy carries on from it, and both would call the same people.

COMMENT ON COLUMN eventlog.meta.mark IS
    '0 none; 1 half a copy; 2 replayed, to be looked at only; 3 copied: the copy carries on.';
COMMENT ON COLUMN eventlog.meta.origin IS
    'The log that this one was filled from; of one that was copied, its copy.';
