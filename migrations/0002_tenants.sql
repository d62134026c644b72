-- +goose Up
-- A connection to a PBX is the operator's; its URL holds a secret and is sealed
-- under SECRET_KEY, so a dump of the database dials nobody.
CREATE TABLE pbx_connections (
  id         uuid PRIMARY KEY,
  sealed_url bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenants (
  id              uuid PRIMARY KEY,
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  region          text NOT NULL CHECK (region ~ '^[A-Z]{2}$'),
  status          text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'ended')),
  retention_days  integer NOT NULL DEFAULT 90 CHECK (retention_days BETWEEN 0 AND 365),
  ring_seconds    integer NOT NULL DEFAULT 25 CHECK (ring_seconds BETWEEN 5 AND 120),
  users_may_delete boolean NOT NULL DEFAULT true,
  endpoint_globs  text[] NOT NULL DEFAULT '{*}' CHECK (cardinality(endpoint_globs) BETWEEN 1 AND 100),
  caller_ids      text[] NOT NULL DEFAULT '{}' CHECK (cardinality(caller_ids) <= 1000),
  pbx_id          uuid REFERENCES pbx_connections,
  dialplan_context text NOT NULL DEFAULT '' CHECK (dialplan_context ~ '^[A-Za-z0-9_-]{0,80}$'),
  created_at      timestamptz NOT NULL DEFAULT now(),
  ended_at        timestamptz,
  CHECK ((status = 'ended') = (ended_at IS NOT NULL))
);

CREATE TABLE users (
  id            uuid PRIMARY KEY,
  tenant_id     uuid REFERENCES tenants,
  email         text NOT NULL CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
  name          text NOT NULL DEFAULT '' CHECK (char_length(name) <= 80),
  role          text NOT NULL CHECK (role IN ('user', 'admin', 'support')),
  password_hash text,
  created_at    timestamptz NOT NULL DEFAULT now(),
  disabled_at   timestamptz,
  UNIQUE (email),
  UNIQUE (tenant_id, id),
  CHECK ((role = 'support') = (tenant_id IS NULL))
);

CREATE TABLE devices (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL,
  user_id    uuid NOT NULL,
  label      text NOT NULL CHECK (char_length(label) BETWEEN 1 AND 80),
  endpoint   text NOT NULL CHECK (endpoint ~ '^[A-Za-z0-9_-]{1,40}$'),
  caller_id  text CHECK (caller_id ~ '^[0-9+]{2,20}$'),
  withheld   boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id),
  UNIQUE (user_id, label),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX devices_user ON devices (tenant_id, user_id, created_at, id);

-- A tenant rings its own phones and shows its own numbers: the operator says
-- which, and the database refuses the rest, whoever asks. A glob holds letters,
-- digits, - and _, with * for any run and ? for one.
-- +goose StatementBegin
CREATE FUNCTION ctd_device_allowed(globs text[], owned text[], endpoint text, caller_id text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT EXISTS (
    SELECT FROM unnest(globs) g
    WHERE endpoint ~ ('^' || replace(replace(g, '*', '.*'), '?', '.') || '$')
  ) AND (caller_id IS NULL OR cardinality(owned) = 0 OR caller_id = ANY (owned))
$$;
CREATE FUNCTION ctd_device_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM tenants t WHERE t.id = NEW.tenant_id
      AND ctd_device_allowed(t.endpoint_globs, t.caller_ids, NEW.endpoint, NEW.caller_id)
  ) THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'devices_allowed',
      MESSAGE = 'device outside its tenant''s endpoints or caller ids';
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION ctd_tenant_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(NEW.endpoint_globs) g WHERE g IS NULL OR g !~ '^[A-Za-z0-9_*?-]{1,40}$') THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'tenants_globs', MESSAGE = 'malformed endpoint pattern';
  END IF;
  IF EXISTS (
    SELECT FROM devices d WHERE d.tenant_id = NEW.id
      AND NOT ctd_device_allowed(NEW.endpoint_globs, NEW.caller_ids, d.endpoint, d.caller_id)
  ) THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'devices_allowed',
      MESSAGE = 'a device would be outside its tenant''s endpoints or caller ids';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER devices_allowed BEFORE INSERT OR UPDATE ON devices
  FOR EACH ROW EXECUTE FUNCTION ctd_device_check();
CREATE TRIGGER tenants_allowed BEFORE INSERT OR UPDATE ON tenants
  FOR EACH ROW EXECUTE FUNCTION ctd_tenant_check();

ALTER TABLE pbx_connections ENABLE ROW LEVEL SECURITY;
ALTER TABLE pbx_connections FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE devices FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE, DELETE ON pbx_connections, tenants, users, devices TO ctd_operator;
CREATE POLICY operator ON pbx_connections TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON tenants TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON users TO ctd_operator USING (true) WITH CHECK (true);
CREATE POLICY operator ON devices TO ctd_operator USING (true) WITH CHECK (true);

GRANT SELECT (id, name, region, status, retention_days, ring_seconds, users_may_delete, endpoint_globs, caller_ids, pbx_id, dialplan_context) ON tenants TO ctd_app;
-- UPDATE (name): a row lock asks for the right to change some column, and a
-- user's row is locked while it is decided how many calls they have.
GRANT SELECT (id, tenant_id, email, name, role, created_at, disabled_at), UPDATE (name) ON users TO ctd_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON devices TO ctd_app;
CREATE POLICY app ON tenants FOR SELECT TO ctd_app USING (id = ctd_tenant());
CREATE POLICY app ON users TO ctd_app USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant());
CREATE POLICY app ON devices TO ctd_app USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant());

GRANT SELECT (id, name, region, status, pbx_id) ON tenants TO ctd_auth;
GRANT SELECT (id, tenant_id, email, name, role, password_hash, disabled_at) ON users TO ctd_auth;
CREATE POLICY auth ON tenants FOR SELECT TO ctd_auth USING (true);
CREATE POLICY auth ON users FOR SELECT TO ctd_auth USING (true);

-- +goose Down
DROP TABLE devices, users, tenants, pbx_connections;
DROP FUNCTION ctd_tenant_check(), ctd_device_check(), ctd_device_allowed(text[], text[], text, text);
