-- Definition of our tables as text: columns, options, constraints, indexes, triggers. Of a partition
-- only what it does not share with its table.
SELECT c.relname::text AS name, pg_catalog.concat_ws(E'\n',
    'PARTITION ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    'PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid),
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname,
            pg_catalog.format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'NOT NULL' END,
            'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute AS a
     LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition),
    'WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')',
    (SELECT pg_catalog.string_agg('CONSTRAINT ' || k.conname || ' '
            || pg_catalog.pg_get_constraintdef(k.oid), E'\n' ORDER BY k.conname)
     FROM pg_catalog.pg_constraint AS k
     WHERE k.conrelid = c.oid AND k.contype <> 'n' AND k.conparentid = 0),
    (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid)
            || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END,
            E'\n' ORDER BY pg_catalog.pg_get_indexdef(i.indexrelid))
     FROM pg_catalog.pg_index AS i
     WHERE i.indrelid = c.oid
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid)),
    (SELECT pg_catalog.string_agg(pg_catalog.pg_get_triggerdef(t.oid), E'\n' ORDER BY t.tgname)
     FROM pg_catalog.pg_trigger AS t
     WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0)
    ) AS definition
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
ORDER BY 1
