-- Checkpoints since the counters began: by time, and by the volume of WAL or on request.
SELECT checkpoints_timed AS timed, checkpoints_req AS requested,
       extract(epoch FROM pg_catalog.now() - stats_reset)::float8 AS seconds
FROM pg_catalog.pg_stat_bgwriter
