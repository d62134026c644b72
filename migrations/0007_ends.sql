-- +goose Up
-- Each record its own end: refused clicks go when logs become anonymous, and the
-- words of a name keep to their call.

-- ---- refusals: a row without user, sign-in and letters answers nobody

ALTER TABLE refusals NO FORCE ROW LEVEL SECURITY;
DELETE FROM refusals WHERE user_id IS NULL OR support_code IS NULL;
ALTER TABLE refusals FORCE ROW LEVEL SECURITY;
DROP INDEX refusals_named;
DROP POLICY purger ON refusals;
DROP POLICY purger_look ON refusals;
DROP POLICY purger_blank ON refusals;
REVOKE SELECT, UPDATE ON refusals FROM ctd_purger;
REVOKE SELECT (user_id), UPDATE (user_id, grant_id, support_code) ON refusals FROM ctd_purger;
GRANT SELECT (id, at) ON refusals TO ctd_purger;
ALTER TABLE refusals
  ALTER user_id SET NOT NULL,
  ALTER support_code SET NOT NULL;
CREATE POLICY purger ON refusals TO ctd_purger USING (at <= ctd_before('anonymise_before'));

-- ---- words

-- What follows the PBX ends a call's words while it lives, and no others.
DROP POLICY follow ON call_words;
CREATE POLICY follow ON call_words TO ctd_follow
  USING (EXISTS (SELECT FROM calls c WHERE c.tenant_id = call_words.tenant_id AND c.id = call_words.call_id AND c.rank < 4));
GRANT SELECT (tenant_id) ON call_words TO ctd_follow;

-- +goose StatementBegin
CREATE FUNCTION ctd_words_only_earlier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'call_words_only_earlier',
    MESSAGE = 'the end of a record is never put off';
END $$;
-- +goose StatementEnd
CREATE TRIGGER call_words_only_earlier BEFORE UPDATE OF expires_at ON call_words FOR EACH ROW
  WHEN (NEW.expires_at > OLD.expires_at) EXECUTE FUNCTION ctd_words_only_earlier();

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'this step is not undone: go back to a dump'; END $$;
-- +goose StatementEnd
