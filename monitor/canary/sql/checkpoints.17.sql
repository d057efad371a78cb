-- Checkpoints since the counters began: by time, and by the volume of WAL or on request.
SELECT num_timed AS timed, num_requested AS requested,
       extract(epoch FROM pg_catalog.now() - stats_reset)::float8 AS seconds
FROM pg_catalog.pg_stat_checkpointer
