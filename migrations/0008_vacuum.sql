-- +goose Up
-- What was deleted lies in its page until the table is vacuumed, by default when a
-- fifth of it has gone: 18 days, at 90. And whatever asks for living records has the
-- planner look for the first end that is left, past all of those.
ALTER TABLE calls SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE call_events SET (autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE call_words SET (autovacuum_vacuum_scale_factor = 0.01);

-- +goose Down
ALTER TABLE calls RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
ALTER TABLE call_events RESET (autovacuum_vacuum_scale_factor);
ALTER TABLE call_words RESET (autovacuum_vacuum_scale_factor);
