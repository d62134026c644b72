-- +goose Up
-- A call's row is written again at each of its steps. Where no index has rank in
-- it, not in its condition either, and the page has room, PostgreSQL keeps such a
-- row out of all nine indexes (a heap-only tuple): a step writes a third of the log.
-- ended_at says the same as rank < 4 (a CHECK of calls) and changes once.
DROP INDEX calls_live;
DROP INDEX calls_live_user;
CREATE INDEX calls_live ON calls (replica_id) WHERE ended_at IS NULL;
CREATE INDEX calls_live_user ON calls (tenant_id, user_id) WHERE ended_at IS NULL;
ALTER TABLE calls SET (fillfactor = 80);

-- +goose Down
DROP INDEX calls_live;
DROP INDEX calls_live_user;
CREATE INDEX calls_live ON calls (replica_id) WHERE rank < 4;
CREATE INDEX calls_live_user ON calls (tenant_id, user_id) WHERE rank < 4;
ALTER TABLE calls RESET (fillfactor);
