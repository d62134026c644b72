-- +goose Up
-- A grant is a sign-in: one extension or browser that may act for a user. Its
-- tokens are kept as hashes only.
CREATE TABLE grants (
  id             uuid PRIMARY KEY,
  tenant_id      uuid,
  user_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  client_id      text NOT NULL CHECK (client_id ~ '^[a-z][a-z0-9-]{0,39}$'),
  device_name    text NOT NULL CHECK (char_length(device_name) BETWEEN 1 AND 80),
  support_code   text NOT NULL CHECK (support_code ~ '^[A-Z]{6}$'),
  scopes         text NOT NULL,
  made_by        text NOT NULL CHECK (made_by IN ('user', 'admin', 'operator')),
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL,
  last_used_on   date,
  revoked_at     timestamptz,
  revoked_by     text CHECK (revoked_by IN ('support', 'admin', 'user', 'operator', 'system')),
  revoked_reason text CHECK (char_length(revoked_reason) <= 200),
  UNIQUE (tenant_id, id),
  UNIQUE (support_code),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX grants_user ON grants (user_id, created_at);
CREATE INDEX grants_tenant ON grants (tenant_id) WHERE revoked_at IS NULL;

CREATE TABLE tokens (
  id         uuid PRIMARY KEY,
  tenant_id  uuid,
  grant_id   uuid NOT NULL REFERENCES grants ON DELETE CASCADE,
  kind       text NOT NULL CHECK (kind IN ('access', 'refresh')),
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  -- A refresh token that was used: when, and for 30 seconds the answer that was
  -- given, sealed under a key that only the bearer of this token can derive.
  used_at    timestamptz,
  successor  bytea,
  FOREIGN KEY (tenant_id, grant_id) REFERENCES grants (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE pairing_codes (
  id         uuid PRIMARY KEY,
  tenant_id  uuid,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  made_by    text NOT NULL CHECK (made_by IN ('user', 'admin', 'operator')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX pairing_codes_expiry ON pairing_codes (expires_at);

-- Who did what to whom. No number, no name; the network part is filled in by
-- acts upon people and goes early.
CREATE TABLE audit (
  id         uuid PRIMARY KEY,
  tenant_id  uuid,
  at         timestamptz NOT NULL DEFAULT now(),
  actor_kind text NOT NULL CHECK (actor_kind IN ('user', 'admin', 'support', 'operator', 'system')),
  actor_id   uuid,
  action     text NOT NULL CHECK (action ~ '^[a-z]+(-[a-z]+)*$'),
  subject_kind text NOT NULL DEFAULT '',
  subject_id uuid,
  reason     text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 200)
);
CREATE INDEX audit_tenant ON audit (tenant_id, at DESC, id DESC);
CREATE INDEX audit_at ON audit (at);

ALTER TABLE grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE grants FORCE ROW LEVEL SECURITY;
ALTER TABLE tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE tokens FORCE ROW LEVEL SECURITY;
ALTER TABLE pairing_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE pairing_codes FORCE ROW LEVEL SECURITY;
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE ON grants TO ctd_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON tokens TO ctd_auth;
GRANT SELECT, INSERT, UPDATE ON pairing_codes TO ctd_auth;
GRANT INSERT ON audit TO ctd_auth;
CREATE POLICY auth ON grants TO ctd_auth USING (true) WITH CHECK (true);
CREATE POLICY auth ON tokens TO ctd_auth USING (true) WITH CHECK (true);
CREATE POLICY auth ON pairing_codes TO ctd_auth USING (true) WITH CHECK (true);
CREATE POLICY auth ON audit FOR INSERT TO ctd_auth WITH CHECK (true);

GRANT SELECT (id, tenant_id, user_id, device_name, support_code, created_at, last_used_on, revoked_at) ON grants TO ctd_app;
CREATE POLICY app ON grants FOR SELECT TO ctd_app USING (tenant_id = ctd_tenant());

GRANT SELECT, UPDATE, DELETE ON grants TO ctd_operator;
GRANT SELECT, UPDATE ON tokens TO ctd_operator;
GRANT SELECT, INSERT ON pairing_codes, audit TO ctd_operator;
CREATE POLICY operator ON grants TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON tokens TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON pairing_codes TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON audit TO ctd_operator USING (true) WITH CHECK (true);

-- Dead keys go once they can no longer matter.
GRANT SELECT, DELETE, UPDATE (id) ON tokens, pairing_codes TO ctd_purger;
CREATE POLICY purger ON tokens TO ctd_purger USING (expires_at <= statement_timestamp());
CREATE POLICY purger ON pairing_codes TO ctd_purger USING (expires_at <= statement_timestamp());

-- +goose Down
DROP TABLE audit, pairing_codes, tokens, grants;
