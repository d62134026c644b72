-- +goose Up
-- History that ends on time: who shortens it, what proves it, the rights of
-- people, the end of a contract.
-- +goose StatementBegin
DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(7236542001); -- see 0001
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ctd_retention') THEN
    CREATE ROLE ctd_retention NOLOGIN NOINHERIT;
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
    WHERE r.rolname = 'ctd_retention' AND u.rolname = current_user
      AND (to_jsonb(m) ->> 'set_option' IS DISTINCT FROM 'false')
  ) THEN
    GRANT ctd_retention TO CURRENT_USER;
  END IF;
END $$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA public TO ctd_retention;

-- ---- calls

-- outcome is what an ended call is filtered by. It is set with ended_at, so the
-- steps before keep to heap-only tuples (0004).
ALTER TABLE calls
  ADD restricted boolean NOT NULL DEFAULT false, -- GDPR art. 18: kept, and shown to nobody
  ADD recording_enabled boolean NOT NULL DEFAULT false,
  ADD outcome text GENERATED ALWAYS AS (CASE WHEN rank = 4 THEN coalesce(reason, 'failed') END) STORED;
DROP INDEX calls_number, calls_last_four, calls_user;
-- With expires_at the Redis TTL index is built again from this one alone: a user's
-- calls lie scattered over the table, ten times as long to read (measured).
CREATE INDEX calls_user ON calls (tenant_id, user_id, created_at DESC, id DESC) INCLUDE (expires_at);
CREATE INDEX calls_tenant ON calls (tenant_id, created_at DESC, id DESC);
CREATE INDEX calls_number ON calls (tenant_id, number, created_at DESC, id DESC) WHERE number IS NOT NULL;
CREATE INDEX calls_last_four ON calls (tenant_id, last_four, created_at DESC, id DESC) WHERE last_four IS NOT NULL;
CREATE INDEX calls_outcome ON calls (tenant_id, outcome, created_at DESC, id DESC) WHERE outcome IS NOT NULL;

-- A sign-in or phone may go while calls name it. Foreign keys would look through
-- a tenant's calls for each that went, so only the way in is guarded. A sign-in
-- goes 90 days after its end, when no call of it can be left; removing a phone
-- blanks it in its user's calls.
ALTER TABLE calls
  DROP CONSTRAINT calls_tenant_id_grant_id_fkey,
  DROP CONSTRAINT calls_tenant_id_device_id_fkey;
-- +goose StatementBegin
CREATE FUNCTION ctd_call_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.device_id IS NOT NULL AND NOT EXISTS (SELECT FROM devices d WHERE d.tenant_id = NEW.tenant_id AND d.id = NEW.device_id) THEN
    RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'calls_device', MESSAGE = 'no such phone in the tenant';
  END IF;
  IF NEW.grant_id IS NOT NULL AND NOT EXISTS (SELECT FROM grants g WHERE g.tenant_id = NEW.tenant_id AND g.id = NEW.grant_id) THEN
    RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'calls_grant', MESSAGE = 'no such sign-in in the tenant';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER calls_parts BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION ctd_call_parts();

-- The words of a name, lower-case: under row-level security only equality uses an
-- index. expires_at is the call's.
CREATE TABLE call_words (
  tenant_id  uuid NOT NULL,
  call_id    uuid NOT NULL,
  word       text NOT NULL CHECK (char_length(word) BETWEEN 1 AND 80),
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (call_id, word),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX call_words_word ON call_words (tenant_id, word, created_at DESC, call_id DESC);
ALTER TABLE calls NO FORCE ROW LEVEL SECURITY;
INSERT INTO call_words (tenant_id, call_id, word, created_at, expires_at)
  SELECT DISTINCT c.tenant_id, c.id, w, c.created_at, c.expires_at
  FROM calls c, unnest(regexp_split_to_array(lower(c.name), '\s+')) w WHERE w <> '';
ALTER TABLE calls FORCE ROW LEVEL SECURITY;

-- A record may end earlier than it was said, never later; its words end with it.
-- +goose StatementBegin
CREATE FUNCTION ctd_only_earlier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.expires_at > OLD.expires_at THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'calls_only_earlier',
      MESSAGE = 'the end of a record is never put off';
  END IF;
  UPDATE call_words SET expires_at = NEW.expires_at WHERE call_id = NEW.id;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER calls_only_earlier BEFORE UPDATE OF expires_at ON calls
  FOR EACH ROW EXECUTE FUNCTION ctd_only_earlier();

-- Whether this transaction answers a request under GDPR chapter III: it sees
-- restricted records too.
-- +goose StatementBegin
CREATE FUNCTION ctd_privacy() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('app.privacy', true), '') = 'yes' $$;
-- +goose StatementEnd
ALTER POLICY app ON calls
  USING (tenant_id = ctd_tenant() AND expires_at > statement_timestamp() AND (NOT restricted OR ctd_privacy()));
ALTER POLICY support ON calls USING (expires_at > statement_timestamp() AND NOT restricted);
GRANT SELECT (outcome) ON calls TO ctd_app;
GRANT UPDATE (restricted, delete_at_end, private, device_id) ON calls TO ctd_app;
-- A user who left: their calls stay without what names them, their refusals go.
GRANT UPDATE (device_label, grant_id, sign_in_label) ON calls TO ctd_app;
GRANT DELETE ON refusals TO ctd_app;

ALTER TABLE call_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE call_words FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON call_words TO ctd_app;
CREATE POLICY app ON call_words TO ctd_app
  USING (tenant_id = ctd_tenant() AND expires_at > statement_timestamp())
  WITH CHECK (tenant_id = ctd_tenant());
-- The end of a private call takes its words; which they are cannot be read.
GRANT SELECT (call_id), DELETE ON call_words TO ctd_follow;
CREATE POLICY follow ON call_words TO ctd_follow USING (true);

-- ---- the tenant's choices, and its end

ALTER TABLE tenants
  -- No record of the tenant is kept longer than this: what shortening has reached.
  ADD kept_ms bigint NOT NULL DEFAULT 31536000000 CHECK (kept_ms >= 0),
  ADD leaver_records text NOT NULL DEFAULT 'erase' CHECK (leaver_records IN ('erase', 'keep')),
  ADD recording_reason text CHECK (recording_reason IN ('agreement-proof', 'quality', 'training', 'legal-duty', 'complaints', 'safety')),
  ADD recording_text text CHECK (char_length(recording_text) BETWEEN 1 AND 500),
  ADD wipe_at timestamptz, -- when all data of an ended contract goes
  ADD wiped_calls bigint NOT NULL DEFAULT 0, -- what of it has gone already
  ADD wiped_others bigint NOT NULL DEFAULT 0,
  ADD CHECK ((recording_reason IS NULL) = (recording_text IS NULL));
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
UPDATE tenants SET wipe_at = ended_at + interval '90 days' WHERE status = 'ended';
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants ADD CHECK (status = 'ended' OR wipe_at IS NULL);
-- +goose StatementBegin
CREATE FUNCTION ctd_kept_longer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM tenants t WHERE t.id = OLD.id FOR UPDATE; -- see ctd_call_kept
  NEW.kept_ms := greatest(OLD.kept_ms, NEW.retention_days::bigint * 86400000);
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tenants_kept_longer BEFORE UPDATE OF retention_days ON tenants
  FOR EACH ROW EXECUTE FUNCTION ctd_kept_longer();
-- A new record is kept no longer than the tenant has said, and than shortening has
-- reached. The lock is the one that the foreign key takes anyway; whoever lowers
-- either waits for it, so that no click that had read the old ones comes after.
-- +goose StatementBegin
CREATE FUNCTION ctd_call_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  days bigint;
  kept bigint;
BEGIN
  SELECT t.retention_days, t.kept_ms INTO days, kept FROM tenants t WHERE t.id = NEW.tenant_id FOR KEY SHARE;
  IF days = 0 AND (NOT NEW.delete_at_end OR NEW.expires_at > NEW.created_at + interval '4 hours')
    OR days > 0 AND NEW.expires_at > NEW.created_at + least(days * 86400000, kept) * interval '1 millisecond' THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'calls_kept', MESSAGE = 'the record would be kept too long';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
-- Nobody else is granted INSERT; the owner enters what a restore or a test brings.
CREATE TRIGGER calls_kept BEFORE INSERT ON calls FOR EACH ROW
  WHEN (current_user = 'ctd_app') EXECUTE FUNCTION ctd_call_kept();
-- Their own triggers look through all devices: only where it matters.
DROP TRIGGER tenants_allowed ON tenants;
CREATE TRIGGER tenants_allowed BEFORE INSERT OR UPDATE OF endpoint_globs, caller_ids ON tenants
  FOR EACH ROW EXECUTE FUNCTION ctd_tenant_check();
GRANT SELECT (created_at, ended_at, kept_ms, leaver_records, recording_reason, recording_text, wipe_at),
  UPDATE (retention_days, users_may_delete, leaver_records, recording_reason, recording_text) ON tenants TO ctd_app;
GRANT SELECT (ended_at, wipe_at) ON tenants TO ctd_auth;

ALTER TABLE users ADD deleted_at timestamptz; -- who left; the row stays, without the person, until their records have ended
GRANT SELECT (deleted_at) ON users TO ctd_auth, ctd_support, ctd_app;
GRANT DELETE, UPDATE (email, deleted_at) ON users TO ctd_app;
CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL;

-- Admins of an ended contract may take their data with them, for 14 days.
ALTER TABLE password_links DROP CONSTRAINT password_links_kind_check,
  ADD CONSTRAINT password_links_kind_check CHECK (kind IN ('invitation', 'reset', 'export'));
ALTER TABLE sessions DROP CONSTRAINT sessions_stage_check,
  ADD CONSTRAINT sessions_stage_check CHECK (stage IN ('factor', 'enrol', 'full', 'export'));
ALTER POLICY purger ON sessions
  USING (expires_at <= statement_timestamp() OR (seen_at <= statement_timestamp() - interval '1 hour' AND stage <> 'export'));

-- Shortening what exists, in the background.
CREATE TABLE restamps (
  tenant_id  uuid PRIMARY KEY REFERENCES tenants ON DELETE CASCADE,
  kept_ms    bigint NOT NULL CHECK (kept_ms >= 0), -- what it is shortened to
  started_at timestamptz NOT NULL DEFAULT now(),
  total      bigint NOT NULL DEFAULT 0, -- records there were at its start
  done       bigint NOT NULL DEFAULT 0, -- of which were looked at
  changed    bigint NOT NULL DEFAULT 0, -- of which now end earlier
  after_at   timestamptz,               -- where it goes on: the last that was looked at
  after_id   uuid,
  finished_at timestamptz
);

-- ---- one at a time, and the proof

-- A lease is had for some seconds; its term tells a holder that was too slow.
-- What a run has done stands here with each batch, and becomes evidence at its
-- end, or when another finds it left behind.
CREATE TABLE leases (
  name       text PRIMARY KEY CHECK (name ~ '^[a-z]+$'),
  holder     uuid,
  term       bigint NOT NULL DEFAULT 0,
  until      timestamptz NOT NULL DEFAULT '-infinity',
  next_at    timestamptz NOT NULL DEFAULT '-infinity', -- when the next run is due
  started_at timestamptz,                              -- of the run that is under way
  calls      bigint NOT NULL DEFAULT 0,
  others     bigint NOT NULL DEFAULT 0
);
INSERT INTO leases (name) VALUES ('purge'), ('restamp');

-- What ended records leave: when, how many, the oldest left. Each entry holds the
-- hash of the one before, so that none can be changed, left out or slipped in.
CREATE TABLE evidence (
  n          bigint PRIMARY KEY CHECK (n > 0),
  kind       text NOT NULL CHECK (kind IN ('purge', 'erasure', 'contract', 'restore')),
  tenant_id  uuid, -- of an ended contract
  started_at timestamptz NOT NULL,
  at         timestamptz NOT NULL,
  calls      bigint NOT NULL,
  others     bigint NOT NULL,
  interrupted boolean NOT NULL DEFAULT false,
  oldest     timestamptz, -- created_at of the oldest record left; NULL: none is
  previous   bytea NOT NULL CHECK (octet_length(previous) = 32),
  hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32)
);
CREATE INDEX evidence_at ON evidence (at);

-- ---- rights of people

-- Keyed hashes of numbers that nobody of the tenant may call: an objection
-- outlives the erasure of everything else.
CREATE TABLE do_not_dial (
  tenant_id  uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
  hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, hash)
);
CREATE TABLE restrictions (
  tenant_id  uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
  subject    text NOT NULL CHECK (subject IN ('user', 'number')),
  hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, hash)
);

-- A request and, once it is done, its receipt: then it holds no person, and stays,
-- also when the tenant has gone.
CREATE TABLE privacy_requests (
  id          uuid PRIMARY KEY,
  tenant_id   uuid NOT NULL,
  reference   text NOT NULL UNIQUE CHECK (reference ~ '^[A-Z]{8}$'),
  act         text NOT NULL CHECK (act IN ('access', 'correction', 'erasure', 'objection', 'objection-lifted', 'restriction', 'restriction-lifted', 'departure')),
  subject     text NOT NULL CHECK (subject IN ('user', 'number')),
  user_id     uuid, -- who asked, while it is open
  received_at timestamptz NOT NULL,
  due_at      timestamptz NOT NULL,
  done_at     timestamptz,
  refused     boolean NOT NULL DEFAULT false,
  records     bigint NOT NULL DEFAULT 0,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (user_id),
  CHECK (done_at IS NULL OR user_id IS NULL)
);
CREATE INDEX privacy_requests_tenant ON privacy_requests (tenant_id, received_at DESC, id DESC);
CREATE INDEX privacy_requests_user ON privacy_requests (tenant_id, user_id) WHERE user_id IS NOT NULL;

-- What an admin has asked the history for, sealed: a URL holds only the id.
CREATE TABLE searches (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL,
  user_id    uuid NOT NULL,
  sealed     bytea NOT NULL CHECK (octet_length(sealed) <= 4096),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX searches_expiry ON searches (expires_at);
CREATE INDEX searches_user ON searches (tenant_id, user_id);

-- Erasures and revocations are counted here and in a ledger outside: a database
-- that is behind its ledger has been restored.
CREATE TABLE ledger_counter (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  n   bigint NOT NULL DEFAULT 0,
  installation uuid NOT NULL DEFAULT gen_random_uuid(), -- whose ledger it is
  restored_at timestamptz -- found to be restored, and restore-check is not through: no counting on makes good for that
);
INSERT INTO ledger_counter DEFAULT VALUES;
CREATE TABLE ledger_outbox (
  n    bigint PRIMARY KEY,
  line text NOT NULL CHECK (char_length(line) <= 1000)
);

-- ---- logs and audit

ALTER TABLE audit ADD network text CHECK (char_length(network) <= 50); -- /24 or /48: no address
ALTER TABLE refusals
  ALTER user_id DROP NOT NULL, -- NULL once it is anonymous
  ALTER support_code DROP NOT NULL;
CREATE INDEX audit_network ON audit (at) WHERE network IS NOT NULL;
CREATE INDEX audit_actor ON audit (tenant_id, actor_id, at DESC, id DESC) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_action ON audit (tenant_id, action, at DESC, id DESC);
CREATE INDEX refusals_named ON refusals (at) WHERE user_id IS NOT NULL;
CREATE INDEX grants_end ON grants (least(expires_at, coalesce(revoked_at, expires_at)));
GRANT SELECT ON audit TO ctd_app;
CREATE POLICY app_look ON audit FOR SELECT TO ctd_app USING (tenant_id = ctd_tenant());

-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['restamps', 'leases', 'evidence', 'do_not_dial', 'restrictions', 'privacy_requests', 'searches', 'ledger_counter', 'ledger_outbox'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['restamps', 'do_not_dial', 'restrictions', 'privacy_requests', 'searches'] LOOP
    EXECUTE format('CREATE POLICY app ON %I TO ctd_app USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant())', name);
  END LOOP;
END $$;
-- +goose StatementEnd
ALTER POLICY app ON searches USING (tenant_id = ctd_tenant() AND expires_at > statement_timestamp());
GRANT SELECT ON restamps TO ctd_app;
GRANT SELECT, INSERT, DELETE ON do_not_dial, restrictions TO ctd_app;
GRANT SELECT, INSERT, UPDATE (user_id, done_at, refused, records) ON privacy_requests TO ctd_app;
GRANT SELECT, INSERT ON searches TO ctd_app;
GRANT SELECT ON leases, evidence TO ctd_app, ctd_operator;
CREATE POLICY look ON leases FOR SELECT TO ctd_app, ctd_operator USING (true);
CREATE POLICY look ON evidence FOR SELECT TO ctd_app, ctd_operator USING (true);

-- Whoever erases or revokes counts it.
GRANT SELECT, UPDATE ON ledger_counter TO ctd_app, ctd_auth, ctd_support, ctd_operator, ctd_purger;
GRANT SELECT, INSERT ON ledger_outbox TO ctd_app, ctd_auth, ctd_support, ctd_operator, ctd_purger;
GRANT DELETE ON ledger_outbox TO ctd_operator;
CREATE POLICY ledger ON ledger_counter TO ctd_app, ctd_auth, ctd_support, ctd_operator, ctd_purger USING (true) WITH CHECK (true);
CREATE POLICY ledger ON ledger_outbox TO ctd_app, ctd_auth, ctd_support, ctd_operator, ctd_purger USING (true) WITH CHECK (true);

-- ---- shortening: times, and nothing else

GRANT SELECT (id, tenant_id, user_id, created_at, ended_at, expires_at, delete_at_end), UPDATE (expires_at, delete_at_end) ON calls TO ctd_retention;
CREATE POLICY retention_look ON calls FOR SELECT TO ctd_retention USING (tenant_id = ctd_tenant());
CREATE POLICY retention ON calls FOR UPDATE TO ctd_retention USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant());
GRANT SELECT (call_id), UPDATE (expires_at) ON call_words TO ctd_retention;
CREATE POLICY retention ON call_words TO ctd_retention USING (tenant_id = ctd_tenant()) WITH CHECK (tenant_id = ctd_tenant());
GRANT SELECT (id, status, retention_days, kept_ms, ended_at, wipe_at), UPDATE (kept_ms) ON tenants TO ctd_retention;
CREATE POLICY retention ON tenants TO ctd_retention USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON restamps TO ctd_retention;
CREATE POLICY retention ON restamps TO ctd_retention USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON leases TO ctd_retention;
CREATE POLICY retention ON leases TO ctd_retention USING (name = 'restamp') WITH CHECK (name = 'restamp');

-- ---- the purge

-- A moment that the transaction has named, never one to come; NULL without one.
-- +goose StatementBegin
CREATE FUNCTION ctd_before(name text) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN coalesce(current_setting('app.' || name, true), '') <> ''
    THEN least(current_setting('app.' || name, true)::timestamptz, statement_timestamp()) END
$$;
-- +goose StatementEnd
GRANT SELECT, UPDATE ON leases TO ctd_purger;
CREATE POLICY purger ON leases TO ctd_purger USING (name = 'purge') WITH CHECK (name = 'purge');
GRANT SELECT, INSERT ON evidence TO ctd_purger;
CREATE POLICY purger ON evidence TO ctd_purger USING (true) WITH CHECK (true);

-- Calls: those that are due, and what is left of an ended contract.
GRANT SELECT (id, ended_at, wipe_at, wiped_calls, wiped_others), DELETE, UPDATE (wiped_calls, wiped_others) ON tenants TO ctd_purger;
CREATE POLICY purger ON tenants TO ctd_purger USING (wipe_at <= statement_timestamp());
GRANT SELECT (tenant_id, user_id, ended_at) ON calls TO ctd_purger;
ALTER POLICY purger ON calls
  USING (expires_at <= statement_timestamp() OR tenant_id IN (SELECT id FROM tenants WHERE wipe_at <= statement_timestamp()));
-- Of an ended contract: its people, with all that hangs on them.
GRANT SELECT (id, tenant_id, deleted_at), DELETE, UPDATE (id) ON users TO ctd_purger;
CREATE POLICY purger ON users TO ctd_purger
  USING (tenant_id IN (SELECT id FROM tenants WHERE wipe_at <= statement_timestamp())
    OR deleted_at <= statement_timestamp() - interval '90 days');
GRANT SELECT (pbx_id) ON tenants TO ctd_purger;
-- A connection that a tenant still has is held by the foreign key.
GRANT SELECT (id), DELETE ON pbx_connections TO ctd_purger;
CREATE POLICY purger ON pbx_connections TO ctd_purger USING (true);

-- Sign-ins go 90 days after their end: the longest that a call of theirs lives.
GRANT SELECT (id, expires_at, revoked_at), DELETE, UPDATE (id) ON grants TO ctd_purger;
CREATE POLICY purger ON grants TO ctd_purger
  USING (least(expires_at, coalesce(revoked_at, expires_at)) <= statement_timestamp() - interval '90 days');
GRANT SELECT, DELETE ON searches TO ctd_purger;
CREATE POLICY purger ON searches TO ctd_purger USING (expires_at <= statement_timestamp());

-- Logs and audit: the times are the operator's, named in each transaction.
GRANT SELECT (user_id), UPDATE (user_id, grant_id, support_code) ON refusals TO ctd_purger;
DROP POLICY purger ON refusals;
CREATE POLICY purger_look ON refusals FOR SELECT TO ctd_purger USING (at <= ctd_before('anonymise_before') OR at <= ctd_before('logs_before'));
CREATE POLICY purger_blank ON refusals FOR UPDATE TO ctd_purger USING (at <= ctd_before('anonymise_before'))
  WITH CHECK (user_id IS NULL AND grant_id IS NULL AND support_code IS NULL);
CREATE POLICY purger ON refusals FOR DELETE TO ctd_purger USING (at <= ctd_before('logs_before'));
GRANT SELECT (id, tenant_id, at, network), DELETE, UPDATE (network) ON audit TO ctd_purger;
CREATE POLICY purger_look ON audit FOR SELECT TO ctd_purger
  USING (at <= ctd_before('anonymise_before') OR at <= ctd_before('audit_before') OR tenant_id IN (SELECT id FROM tenants WHERE wipe_at <= statement_timestamp()));
CREATE POLICY purger_blank ON audit FOR UPDATE TO ctd_purger USING (at <= ctd_before('anonymise_before')) WITH CHECK (network IS NULL);
CREATE POLICY purger ON audit FOR DELETE TO ctd_purger
  USING (at <= ctd_before('audit_before') OR tenant_id IN (SELECT id FROM tenants WHERE wipe_at <= statement_timestamp()));

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'this step is not undone: go back to a dump'; END $$;
-- +goose StatementEnd
