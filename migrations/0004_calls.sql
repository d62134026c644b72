-- +goose Up
-- One row a click: the dial history. number and name are NULL only in a private
-- call that has ended; number_masked and last_four follow number.
CREATE TABLE calls (
  id            uuid PRIMARY KEY,
  tenant_id     uuid NOT NULL REFERENCES tenants,
  user_id       uuid NOT NULL,
  device_id     uuid,
  device_label  text NOT NULL,
  grant_id      uuid,
  sign_in_label text NOT NULL DEFAULT '',
  number        text CHECK (char_length(number) <= 64),
  name          text CHECK (char_length(name) <= 80),
  number_masked text CHECK (char_length(number_masked) <= 40),
  last_four     text CHECK (last_four ~ '^[0-9]{4}$'),
  private       boolean NOT NULL DEFAULT false,
  delete_at_end boolean NOT NULL DEFAULT false,
  status        text NOT NULL DEFAULT 'initiating' CHECK (status IN
    ('initiating', 'callingCaller', 'callingCallee', 'connected', 'disconnected', 'failed')),
  rank          smallint NOT NULL DEFAULT 0 CHECK (rank BETWEEN 0 AND 4),
  reason        text CHECK (reason IN ('hangUp', 'callerBusy', 'callerNoAnswer', 'callerFailure', 'callerAbandon',
    'calleeBusy', 'calleeNoAnswer', 'calleeFailure')),
  diagnosis     text CHECK (diagnosis ~ '^[a-z]+(-[a-z]+)*$'),
  dispatch      text NOT NULL DEFAULT 'dispatching' CHECK (dispatch IN ('dispatching', 'dispatched', 'doubt', 'refused')),
  hang_up_why   text CHECK (hang_up_why IN ('client', 'limit', 'retention', 'revoked')),
  replica_id    uuid NOT NULL,
  pbx_id        uuid,
  channel_id    text NOT NULL UNIQUE CHECK (channel_id ~ '^[A-Za-z0-9-]{1,64}$'),
  created_at    timestamptz NOT NULL,
  caller_answered_at timestamptz,
  connected_at  timestamptz,
  ended_at      timestamptz,
  expires_at    timestamptz NOT NULL,
  UNIQUE (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, id) ON DELETE SET NULL (device_id),
  FOREIGN KEY (tenant_id, grant_id) REFERENCES grants (tenant_id, id) ON DELETE SET NULL (grant_id),
  CHECK (expires_at >= created_at),
  CHECK (expires_at = date_trunc('milliseconds', expires_at)),
  CHECK ((rank = 4) = (status IN ('disconnected', 'failed'))),
  CHECK ((rank = 4) = (ended_at IS NOT NULL)),
  CHECK ((status = 'disconnected') = (reason IS NOT NULL)),
  CHECK ((rank = 4) = (diagnosis IS NOT NULL)),
  CHECK ((number IS NULL) = (number_masked IS NULL)),
  CHECK (number IS NOT NULL OR (private AND rank = 4))
);
CREATE INDEX calls_user ON calls (tenant_id, user_id, created_at DESC, id DESC);
CREATE INDEX calls_number ON calls (tenant_id, user_id, number);
CREATE INDEX calls_last_four ON calls (tenant_id, user_id, last_four);
CREATE INDEX calls_expiry ON calls (expires_at);
-- A call's row is written again at each of its steps. Where no index has rank in
-- it, not in its condition either, and the page has room, PostgreSQL keeps such a
-- row out of all nine indexes (a heap-only tuple): a step writes a third of the log.
-- ended_at says the same as rank < 4 (a CHECK above) and changes once.
CREATE INDEX calls_live ON calls (replica_id) WHERE ended_at IS NULL;
CREATE INDEX calls_live_user ON calls (tenant_id, user_id) WHERE ended_at IS NULL;
ALTER TABLE calls SET (fillfactor = 80);

-- The timeline of a call. The key makes an event that comes twice harmless.
CREATE TABLE call_events (
  tenant_id uuid NOT NULL,
  call_id   uuid NOT NULL,
  rank      smallint NOT NULL CHECK (rank BETWEEN 0 AND 4),
  status    text NOT NULL,
  cause     smallint NOT NULL DEFAULT 0,
  at        timestamptz NOT NULL,
  PRIMARY KEY (call_id, rank),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE CASCADE
);

-- "I clicked and nothing happened": what was refused, without what was clicked.
CREATE TABLE refusals (
  id           uuid PRIMARY KEY,
  tenant_id    uuid NOT NULL,
  user_id      uuid NOT NULL,
  grant_id     uuid,
  code         text NOT NULL CHECK (code ~ '^[a-z]+(-[a-z]+)*$'),
  support_code text NOT NULL CHECK (support_code ~ '^[A-Z]{6}$'),
  at           timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX refusals_user ON refusals (tenant_id, user_id, at DESC);
CREATE INDEX refusals_at ON refusals (at);

-- One key, one call. The fingerprint is an HMAC of the request under a daily key
-- that is destroyed after 48 hours: it is not personal data and outlives the call.
CREATE TABLE idempotency (
  tenant_id   uuid NOT NULL,
  user_id     uuid NOT NULL,
  key         text NOT NULL CHECK (key ~ '^[A-Za-z0-9_-]{1,64}$'),
  fingerprint bytea,
  call_id     uuid,
  expires_at  timestamptz NOT NULL,
  PRIMARY KEY (user_id, key),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE SET NULL (call_id)
);
CREATE INDEX idempotency_expiry ON idempotency (expires_at);
CREATE INDEX idempotency_call ON idempotency (call_id);

CREATE TABLE daily_keys (
  day date PRIMARY KEY,
  key bytea NOT NULL CHECK (octet_length(key) = 32)
);

-- Who is alive, by Postgres's own clock: a replica whose beat is old has its
-- calls adopted by another.
CREATE TABLE replicas (
  id         uuid PRIMARY KEY,
  started_at timestamptz NOT NULL DEFAULT now(),
  beat_at    timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE calls FORCE ROW LEVEL SECURITY;
ALTER TABLE call_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE call_events FORCE ROW LEVEL SECURITY;
ALTER TABLE refusals ENABLE ROW LEVEL SECURITY;
ALTER TABLE refusals FORCE ROW LEVEL SECURITY;
ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency FORCE ROW LEVEL SECURITY;
ALTER TABLE daily_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE daily_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE replicas ENABLE ROW LEVEL SECURITY;
ALTER TABLE replicas FORCE ROW LEVEL SECURITY;

-- The API: its tenant, and nothing whose time has come.
GRANT SELECT, INSERT, DELETE, UPDATE (name, hang_up_why) ON calls TO ctd_app;
GRANT SELECT ON call_events TO ctd_app;
GRANT SELECT, INSERT ON refusals TO ctd_app;
GRANT SELECT, INSERT, UPDATE (fingerprint) ON idempotency TO ctd_app;
GRANT SELECT, INSERT ON daily_keys TO ctd_app;
CREATE POLICY app ON calls TO ctd_app
  USING (tenant_id = ctd_tenant() AND expires_at > statement_timestamp())
  WITH CHECK (tenant_id = ctd_tenant() AND expires_at > statement_timestamp());
CREATE POLICY app ON call_events FOR SELECT TO ctd_app
  USING (EXISTS (SELECT FROM calls c WHERE c.id = call_id AND c.tenant_id = call_events.tenant_id));
CREATE POLICY app ON refusals TO ctd_app USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant());
CREATE POLICY app ON idempotency TO ctd_app USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant());
CREATE POLICY app ON daily_keys TO ctd_app USING (true) WITH CHECK (true);

-- Following: every call, never its number or name. It may blank them (the end of
-- a private call) without being able to read them. The SELECT policy hides
-- nothing: one that hid ended calls would refuse the UPDATE that ends one.
GRANT SELECT (id, tenant_id, user_id, device_id, private, delete_at_end, status, rank, reason, diagnosis, dispatch,
    hang_up_why, replica_id, pbx_id, channel_id, created_at, caller_answered_at, connected_at, ended_at, expires_at),
  UPDATE (status, rank, reason, diagnosis, dispatch, hang_up_why, replica_id, caller_answered_at, connected_at, ended_at,
    number, name, number_masked, last_four),
  DELETE ON calls TO ctd_follow;
GRANT SELECT, INSERT ON call_events TO ctd_follow;
GRANT SELECT, INSERT, UPDATE, DELETE ON replicas TO ctd_follow;
GRANT SELECT (id, pbx_id) ON tenants TO ctd_follow;
GRANT SELECT ON pbx_connections TO ctd_follow;
CREATE POLICY follow ON calls FOR SELECT TO ctd_follow USING (true);
CREATE POLICY follow_change ON calls FOR UPDATE TO ctd_follow USING (rank < 4) WITH CHECK (true);
CREATE POLICY follow_end ON calls FOR DELETE TO ctd_follow USING (rank < 4);
CREATE POLICY follow ON call_events TO ctd_follow
  USING (true)
  WITH CHECK (EXISTS (SELECT FROM calls c WHERE c.id = call_id AND c.tenant_id = call_events.tenant_id));
CREATE POLICY follow ON replicas TO ctd_follow USING (true) WITH CHECK (true);
CREATE POLICY follow ON tenants FOR SELECT TO ctd_follow USING (true);
CREATE POLICY follow ON pbx_connections FOR SELECT TO ctd_follow USING (true);

-- The purge: what is due and nothing else, so that a bare DELETE is safe.
GRANT SELECT (id, expires_at), DELETE, UPDATE (id) ON calls TO ctd_purger;
GRANT SELECT (id, at), DELETE, UPDATE (id) ON refusals TO ctd_purger;
GRANT SELECT (user_id, key, expires_at), DELETE, UPDATE (key) ON idempotency TO ctd_purger;
GRANT SELECT (day), DELETE ON daily_keys TO ctd_purger;
GRANT SELECT, DELETE ON replicas TO ctd_purger;
CREATE POLICY purger ON calls TO ctd_purger USING (expires_at <= statement_timestamp());
CREATE POLICY purger ON refusals TO ctd_purger USING (at <= statement_timestamp() - interval '14 days');
CREATE POLICY purger ON idempotency TO ctd_purger USING (expires_at <= statement_timestamp());
CREATE POLICY purger ON daily_keys TO ctd_purger USING (day < (statement_timestamp() AT TIME ZONE 'UTC')::date - 1);
CREATE POLICY purger ON replicas TO ctd_purger USING (beat_at <= statement_timestamp() - interval '1 day');

-- +goose Down
DROP TABLE replicas, daily_keys, idempotency, refusals, call_events, calls;
DROP POLICY follow ON tenants;
DROP POLICY follow ON pbx_connections;
