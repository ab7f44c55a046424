WITH spaces AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
), owned AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.*, format('%I.%I', s.nspname, c.relname) AS called
    FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE NOT (s.nspname = 'public' AND c.relname IN ('rowhouse_migrations', 'rowhouse_migrations_pkey'))
      AND NOT EXISTS (SELECT 1 FROM owned WHERE classid = 'pg_class'::regclass AND objid = c.oid)
)
SELECT 'schema ' || nspname AS part, '' AS definition FROM spaces
UNION ALL
SELECT 'extension ' || extname, extversion FROM pg_extension
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || called,
       concat_ws(' ', relkind, relpersistence, array_to_string(reloptions, ','), CASE WHEN relrowsecurity THEN 'rls' END,
                 CASE WHEN relforcerowsecurity THEN 'forced' END, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid),
                 CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END)
FROM relations WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT format('column %s.%I', r.called, a.attname),
       concat_ws(' ', row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
                 CASE WHEN a.attnotnull THEN 'not null' END, NULLIF(a.attidentity, ''), NULLIF(a.attgenerated, ''),
                 'default ' || pg_get_expr(d.adbin, d.adrelid),
                 (SELECT 'collate ' || l.collname FROM pg_collation l JOIN pg_type t ON t.oid = a.atttypid
                  WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation))
FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('constraint %I on %s', k.conname, r.called),
       concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'unvalidated' END)
FROM pg_constraint k JOIN relations r ON r.oid = k.conrelid
WHERE k.contype <> 'n'
UNION ALL
SELECT 'index ' || r.called, concat_ws(' ', pg_get_indexdef(r.oid), CASE WHEN NOT i.indisvalid THEN 'invalid' END)
FROM relations r JOIN pg_index i ON i.indexrelid = r.oid
UNION ALL
SELECT 'sequence ' || r.called,
       concat_ws(' ', format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle)
FROM relations r JOIN pg_sequence q ON q.seqrelid = r.oid
UNION ALL
SELECT format('trigger %I on %s', g.tgname, r.called), concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
FROM pg_trigger g JOIN relations r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
UNION ALL
SELECT format('rule %I on %s', u.rulename, r.called), pg_get_ruledef(u.oid)
FROM pg_rewrite u JOIN relations r ON r.oid = u.ev_class WHERE u.rulename <> '_RETURN'
UNION ALL
SELECT format('policy %I on %s', p.polname, r.called),
       concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
UNION ALL
SELECT format('routine %I.%I(%s)', s.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
       CASE WHEN f.prokind IN ('f', 'p', 'w') THEN pg_get_functiondef(f.oid) ELSE pg_get_function_result(f.oid) END
FROM pg_proc f JOIN spaces s ON s.oid = f.pronamespace
WHERE NOT EXISTS (SELECT 1 FROM owned WHERE classid = 'pg_proc'::regclass AND objid = f.oid)
UNION ALL
SELECT format('type %I.%I', s.nspname, t.typname),
       concat_ws(' ', t.typtype,
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
                 CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
                 CASE WHEN t.typnotnull THEN 'not null' END, t.typdefault,
                 (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid))
FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r')
  AND NOT EXISTS (SELECT 1 FROM owned WHERE classid = 'pg_type'::regclass AND objid = t.oid)
ORDER BY 1
