-- +goose Up
-- The roles that a transaction takes on (SET LOCAL ROLE). They are the server's,
-- not the database's, so they may be there already, and several databases may be
-- migrated at once: hence the lock, and the look before each step. Dropping a
-- database leaves them; Down does too.
-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  PERFORM pg_advisory_xact_lock(7236542001);
  FOREACH name IN ARRAY ARRAY['ctd_app', 'ctd_auth', 'ctd_follow', 'ctd_operator', 'ctd_purger'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', name);
    END IF;
    -- Postgres 16 lets a creator SET ROLE only after a grant of its own.
    IF NOT EXISTS (
      SELECT FROM pg_auth_members m
      JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
      WHERE r.rolname = name AND u.rolname = current_user
        AND (to_jsonb(m) ->> 'set_option' IS DISTINCT FROM 'false')
    ) THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', name);
    END IF;
  END LOOP;
END $$;
-- +goose StatementEnd

GRANT USAGE ON SCHEMA public TO ctd_app, ctd_auth, ctd_follow, ctd_operator, ctd_purger;

-- The tenant that this transaction speaks for; NULL when it speaks for none.
-- +goose StatementBegin
CREATE FUNCTION ctd_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('app.tenant_id', true), '')::uuid $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ctd_tenant();
