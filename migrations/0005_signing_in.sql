-- +goose Up
-- Signing in by password and second factor, the authorization server's codes, and
-- what makes a revocation reach every replica.
-- +goose StatementBegin
DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(7236542001); -- see 0001
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ctd_support') THEN
    CREATE ROLE ctd_support NOLOGIN NOINHERIT;
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
    WHERE r.rolname = 'ctd_support' AND u.rolname = current_user
      AND (to_jsonb(m) ->> 'set_option' IS DISTINCT FROM 'false')
  ) THEN
    GRANT ctd_support TO CURRENT_USER;
  END IF;
END $$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA public TO ctd_support;

ALTER TABLE tenants ADD require_second_factor boolean NOT NULL DEFAULT false;

ALTER TABLE users
  ADD password_set_at timestamptz,
  ADD password_set_by text CHECK (password_set_by IN ('user', 'admin', 'operator')),
  ADD totp_secret bytea, -- sealed under SECRET_KEY
  ADD totp_confirmed_at timestamptz,
  ADD totp_last_step bigint NOT NULL DEFAULT 0, -- the newest that was used: none works twice (RFC 6238 5.2)
  ADD CHECK (totp_confirmed_at IS NULL OR totp_secret IS NOT NULL);

-- Each works once, instead of a second factor.
CREATE TABLE recovery_codes (
  id         uuid PRIMARY KEY,
  tenant_id  uuid,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  used_at    timestamptz,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- A link that lets its holder set a password, once.
CREATE TABLE password_links (
  id         uuid PRIMARY KEY,
  tenant_id  uuid,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  kind       text NOT NULL CHECK (kind IN ('invitation', 'reset')),
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  made_by    text NOT NULL CHECK (made_by IN ('admin', 'operator')),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX password_links_user ON password_links (user_id);
CREATE INDEX password_links_expiry ON password_links (expires_at);

-- A person's browser at the console. stage: what is still to be shown.
CREATE TABLE sessions (
  id         uuid PRIMARY KEY,
  tenant_id  uuid,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  stage      text NOT NULL CHECK (stage IN ('factor', 'enrol', 'full')),
  browser    text NOT NULL CHECK (char_length(browser) BETWEEN 1 AND 80),
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- RFC 6749 4.1.2. A used code is kept for a day, so that its second use is known
-- for what it is.
CREATE TABLE authorization_codes (
  id           uuid PRIMARY KEY,
  tenant_id    uuid,
  user_id      uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  client_id    text NOT NULL CHECK (client_id ~ '^[a-z][a-z0-9-]{0,39}$'),
  redirect_uri text NOT NULL CHECK (char_length(redirect_uri) <= 500),
  challenge    text NOT NULL CHECK (challenge ~ '^[A-Za-z0-9_-]{43}$'),
  scopes       text NOT NULL CHECK (char_length(scopes) <= 500),
  device_name  text NOT NULL CHECK (char_length(device_name) BETWEEN 1 AND 80),
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  used_at      timestamptz,
  grant_id     uuid REFERENCES grants ON DELETE SET NULL,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, grant_id) REFERENCES grants (tenant_id, id) ON DELETE SET NULL (grant_id)
);
CREATE INDEX authorization_codes_grant ON authorization_codes (grant_id);
CREATE INDEX authorization_codes_expiry ON authorization_codes (expires_at);

-- Narrower than the sign-in's, when a refresh asked for less (RFC 6749 6).
ALTER TABLE tokens ADD scopes text CHECK (char_length(scopes) <= 500);

-- The access tokens that were revoked and not yet expired: every replica reads
-- along. confirmed: Redis holds the tombstone.
CREATE TABLE revocations (
  hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
  grant_id   uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  confirmed  boolean NOT NULL DEFAULT false
);
CREATE INDEX revocations_created ON revocations (created_at);
CREATE INDEX revocations_expiry ON revocations (expires_at);
CREATE INDEX revocations_open ON revocations (created_at) WHERE NOT confirmed;

-- A refused click's code is read out to support.
CREATE INDEX refusals_support_code ON refusals (support_code);

-- Internal services that may introspect (RFC 7662 2.1).
CREATE TABLE oauth_clients (
  id          text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9-]{0,39}$' AND id <> 'extension'),
  secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
  created_at  timestamptz NOT NULL DEFAULT now()
);

-- Provider staff make grants of their own (tenant NULL), and pairing codes and
-- links are made by admins.
-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['recovery_codes', 'password_links', 'sessions', 'authorization_codes', 'revocations', 'oauth_clients'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY auth ON %I TO ctd_auth USING (true) WITH CHECK (true)', name);
  END LOOP;
END $$;
-- +goose StatementEnd

-- Who is asking, of every tenant, by column.
GRANT SELECT (require_second_factor) ON tenants TO ctd_auth;
GRANT SELECT (created_at, password_set_at, password_set_by, totp_secret, totp_confirmed_at, totp_last_step),
  UPDATE (password_hash, password_set_at, password_set_by, totp_secret, totp_confirmed_at, totp_last_step) ON users TO ctd_auth;
CREATE POLICY auth_change ON users FOR UPDATE TO ctd_auth USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON recovery_codes, sessions TO ctd_auth;
GRANT SELECT, INSERT, UPDATE (used_at) ON password_links TO ctd_auth;
GRANT SELECT, INSERT, UPDATE (used_at, grant_id) ON authorization_codes TO ctd_auth;
GRANT SELECT, INSERT, UPDATE (confirmed) ON revocations TO ctd_auth;
GRANT SELECT ON oauth_clients TO ctd_auth;
-- What the provider did to a person's sign-in, for that person to see.
GRANT SELECT (id, tenant_id, at, actor_kind, actor_id, action, subject_kind, subject_id) ON audit TO ctd_auth;
CREATE POLICY auth_look ON audit FOR SELECT TO ctd_auth
  USING (action IN ('pairing-code-create', 'password-set', 'password-link-create', 'second-factor-reset'));
CREATE INDEX audit_subject ON audit (subject_id, at DESC) WHERE subject_id IS NOT NULL;

-- The tenant's admin: people of the tenant.
GRANT SELECT (password_set_at, password_set_by, totp_confirmed_at), INSERT (id, tenant_id, email, name, role, created_at),
  UPDATE (disabled_at) ON users TO ctd_app;
GRANT SELECT (require_second_factor), UPDATE (require_second_factor) ON tenants TO ctd_app;
CREATE POLICY app_change ON tenants FOR UPDATE TO ctd_app USING (id = ctd_tenant()) WITH CHECK (id = ctd_tenant());
GRANT SELECT (client_id, made_by, expires_at, revoked_by, revoked_reason) ON grants TO ctd_app;
GRANT SELECT (grant_id, tenant_id, kind, used_at, expires_at) ON tokens TO ctd_app;
CREATE POLICY app ON tokens FOR SELECT TO ctd_app USING (tenant_id = ctd_tenant());
GRANT SELECT (id, tenant_id, user_id, stage, browser, created_at, seen_at, expires_at) ON sessions TO ctd_app;
CREATE POLICY app ON sessions FOR SELECT TO ctd_app USING (tenant_id = ctd_tenant());
GRANT INSERT ON password_links, pairing_codes, audit TO ctd_app;
CREATE POLICY app ON password_links FOR INSERT TO ctd_app WITH CHECK (tenant_id = ctd_tenant());
CREATE POLICY app ON pairing_codes FOR INSERT TO ctd_app WITH CHECK (tenant_id = ctd_tenant());
CREATE POLICY app ON audit FOR INSERT TO ctd_app WITH CHECK (tenant_id = ctd_tenant());

-- Following: which sign-in a call was made by, to end it with that.
GRANT SELECT (grant_id) ON calls TO ctd_follow;

-- The provider's support: users and sign-ins of every tenant; of a living call
-- what is masked, never the number or the name.
GRANT SELECT (id, name, status) ON tenants TO ctd_support;
GRANT SELECT (id, tenant_id, email, role, created_at, disabled_at, password_set_at, password_set_by, totp_confirmed_at) ON users TO ctd_support;
GRANT SELECT, UPDATE (revoked_at, revoked_by, revoked_reason) ON grants TO ctd_support;
GRANT SELECT (grant_id, kind, hash, used_at, expires_at) ON tokens TO ctd_support;
GRANT SELECT (id, tenant_id, user_id, stage, browser, created_at, seen_at, expires_at), DELETE ON sessions TO ctd_support;
-- RETURNING wants SELECT.
GRANT SELECT, INSERT ON revocations TO ctd_support;
GRANT SELECT ON refusals TO ctd_support;
GRANT SELECT (id, tenant_id, user_id, device_label, sign_in_label, number_masked, private, status, rank, reason, diagnosis,
  created_at, caller_answered_at, connected_at, ended_at, expires_at) ON calls TO ctd_support;
GRANT INSERT ON audit TO ctd_support;
CREATE POLICY support ON tenants FOR SELECT TO ctd_support USING (true);
CREATE POLICY support ON users FOR SELECT TO ctd_support USING (true);
CREATE POLICY support ON grants TO ctd_support USING (true) WITH CHECK (true);
CREATE POLICY support ON tokens FOR SELECT TO ctd_support USING (true);
CREATE POLICY support ON sessions TO ctd_support USING (true);
CREATE POLICY support ON revocations TO ctd_support USING (true) WITH CHECK (true);
CREATE POLICY support ON refusals FOR SELECT TO ctd_support USING (true);
CREATE POLICY support ON calls FOR SELECT TO ctd_support USING (expires_at > statement_timestamp());
CREATE POLICY support ON audit FOR INSERT TO ctd_support WITH CHECK (true);

-- The command line.
GRANT SELECT, DELETE ON sessions TO ctd_operator;
GRANT SELECT, INSERT ON revocations, password_links TO ctd_operator;
GRANT SELECT, INSERT, DELETE ON oauth_clients TO ctd_operator;
GRANT SELECT, DELETE ON recovery_codes TO ctd_operator;
CREATE POLICY operator ON sessions TO ctd_operator USING (true);
CREATE POLICY operator ON revocations TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON password_links TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON oauth_clients TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON recovery_codes TO ctd_operator USING (true);

-- What has ended goes.
GRANT SELECT, DELETE, UPDATE (id) ON password_links, sessions, authorization_codes TO ctd_purger;
GRANT SELECT, DELETE, UPDATE (expires_at) ON revocations TO ctd_purger;
CREATE POLICY purger ON password_links TO ctd_purger USING (expires_at <= statement_timestamp());
CREATE POLICY purger ON sessions TO ctd_purger USING (expires_at <= statement_timestamp() OR seen_at <= statement_timestamp() - interval '1 hour');
CREATE POLICY purger ON authorization_codes TO ctd_purger USING (expires_at <= statement_timestamp() - interval '1 day');
CREATE POLICY purger ON revocations TO ctd_purger USING (expires_at <= statement_timestamp());

-- +goose Down
DROP POLICY support ON audit;
DROP POLICY support ON calls;
DROP POLICY support ON refusals;
DROP POLICY support ON tokens;
DROP POLICY support ON grants;
DROP POLICY support ON users;
DROP POLICY support ON tenants;
DROP POLICY app ON audit;
DROP POLICY app ON pairing_codes;
DROP POLICY app ON tokens;
DROP POLICY app_change ON tenants;
DROP INDEX audit_subject, refusals_support_code;
DROP POLICY auth_look ON audit;
DROP POLICY auth_change ON users;
DROP TABLE oauth_clients, revocations, authorization_codes, sessions, password_links, recovery_codes;
ALTER TABLE tokens DROP scopes;
ALTER TABLE users DROP totp_last_step, DROP totp_confirmed_at, DROP totp_secret, DROP password_set_by, DROP password_set_at;
ALTER TABLE tenants DROP require_second_factor;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ctd_support;
REVOKE USAGE ON SCHEMA public FROM ctd_support;
