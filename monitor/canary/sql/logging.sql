-- Settings in force for this session that would write a log line per statement.
SELECT s.name, pg_catalog.current_setting(s.name, true) AS value
FROM pg_catalog.unnest(ARRAY[
    'log_statement', 'log_min_duration_statement', 'log_min_duration_sample',
    'log_statement_sample_rate', 'log_transaction_sample_rate', 'log_duration',
    'pgaudit.log', 'auto_explain.log_min_duration', 'auto_explain.sample_rate']) AS s (name)
