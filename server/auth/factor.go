package auth

import (
	"bytes"
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"image/png"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

const (
	sealFactor    = "second factor"
	macRecovery   = "recovery code"
	stepSeconds   = 30 // RFC 6238 4.1
	codeDigits    = 6
	recoveryCodes = 10
	recoveryChars = 10
)

// Enrolment is a second factor that is being set up.
type Enrolment struct {
	Secret string // base32, to type into an app
	URI    string // otpauth://
	PNG    []byte // its QR code
}

var errFactor = fault.New(fault.Refused, "factor-refused", "This code is not right, or was used before.")

// PassFactor shows the second factor: a code of the app, or a recovery code. The
// session is followed by a full one. Errors: factor-refused, too-many-failures.
func (s *Service) PassFactor(ctx context.Context, session Session, code string, v Visitor) (Opened, error) {
	if session.Stage != models.StageFactor {
		return Opened{}, errForbidden
	}
	user, err := s.checkFactor(ctx, session, code, v)
	if err != nil {
		return Opened{}, err
	}
	opened, row, err := s.newSession(user, models.StageFull, v)
	if err != nil {
		return Opened{}, err
	}
	entry := audit.Entry(audit.By(session.Actor()), "second-factor-pass", session.subject(), "")
	err = s.DB.BeginSession(ctx, row, session.ID, entry)
	if errors.Is(err, store.ErrNotFound) {
		err = errUnauthorized
	}
	return opened, err
}

// checkFactor uses a code up. Failures are counted and audited.
func (s *Service) checkFactor(ctx context.Context, session Session, code string, v Visitor) (user store.Credential, err error) {
	if user, err = s.DB.Credential(ctx, session.UserID); err != nil {
		return user, err
	}
	if user.TOTPConfirmedAt == nil {
		return user, errForbidden
	}
	err = s.attempt(ctx, s.accountBuckets("factor", user.ID.String(), v.Network), isFault(errFactor), func() error {
		err := s.useFactor(ctx, session, user, code)
		if errors.Is(err, store.ErrNotFound) {
			err = s.noteFailure(ctx, user, "second-factor-failure", errFactor)
		}
		return err
	})
	return user, err
}

// useFactor: store.ErrNotFound for a code that is no use.
func (s *Service) useFactor(ctx context.Context, session Session, user store.Credential, code string) error {
	typed := normaliseCode(code)
	if len(typed) == recoveryChars {
		hash, err := s.Keys.MAC(macRecovery, user.ID.String()+typed)
		if err != nil {
			return err
		}
		entry := audit.Entry(audit.By(session.Actor()), "recovery-code-use", session.subject(), "")
		return s.DB.UseRecoveryCode(ctx, user.ID, hash, s.Now().UTC(), entry)
	}
	secret, err := s.Keys.Open(sealFactor, user.TOTPSecret)
	if err != nil {
		return fmt.Errorf("opening a second factor: %w", err)
	}
	step, right, err := stepOf(secret, typed, s.Now())
	if err != nil {
		return err
	}
	if !right {
		return store.ErrNotFound
	}
	return s.DB.UseStep(ctx, user.ID, step)
}

// stepOf finds the time step of a code: this one, or one beside it, for clocks
// that differ (RFC 6238 5.2).
func stepOf(secret []byte, code string, now time.Time) (step int64, right bool, err error) {
	if len(code) != codeDigits {
		return 0, false, nil
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	opts := totp.ValidateOpts{Period: stepSeconds, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	for _, shift := range []int64{0, -1, 1} {
		at := now.Add(time.Duration(shift) * stepSeconds * time.Second)
		if right, err = totp.ValidateCustom(code, text, at, opts); right || err != nil {
			return at.Unix() / stepSeconds, right, err
		}
	}
	return 0, false, nil
}

// BeginFactor makes the secret of a second factor; it counts once a code of it
// was shown. Errors: forbidden when one is set up.
func (s *Service) BeginFactor(ctx context.Context, session Session) (Enrolment, error) {
	if session.Stage == models.StageFactor || session.HasFactor {
		return Enrolment{}, errForbidden
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Click-to-Dial", AccountName: session.Email, SecretSize: 20, Period: stepSeconds})
	if err != nil {
		return Enrolment{}, fmt.Errorf("making a second factor: %w", err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key.Secret())
	if err != nil {
		return Enrolment{}, fmt.Errorf("making a second factor: %w", err)
	}
	sealed, err := s.Keys.Seal(sealFactor, secret)
	if err != nil {
		return Enrolment{}, err
	}
	if err := s.DB.SetFactor(ctx, session.UserID, sealed); errors.Is(err, store.ErrNotFound) {
		return Enrolment{}, errForbidden
	} else if err != nil {
		return Enrolment{}, err
	}
	return enrolment(key)
}

func enrolment(key *otp.Key) (Enrolment, error) {
	image, err := key.Image(220, 220)
	if err != nil {
		return Enrolment{}, fmt.Errorf("drawing a code: %w", err)
	}
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, image); err != nil {
		return Enrolment{}, fmt.Errorf("drawing a code: %w", err)
	}
	return Enrolment{Secret: key.Secret(), URI: key.URL(), PNG: drawn.Bytes()}, nil
}

// PendingFactor gives the second factor that is being set up again, so that a
// mistyped code does not ask for a new scan. Errors: forbidden when there is none.
func (s *Service) PendingFactor(ctx context.Context, session Session) (Enrolment, error) {
	if session.Stage == models.StageFactor || session.HasFactor {
		return Enrolment{}, errForbidden
	}
	user, err := s.DB.Credential(ctx, session.UserID)
	if err != nil {
		return Enrolment{}, err
	}
	if user.TOTPSecret == nil {
		return Enrolment{}, errForbidden
	}
	secret, err := s.Keys.Open(sealFactor, user.TOTPSecret)
	if err != nil {
		return Enrolment{}, fmt.Errorf("opening a second factor: %w", err)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Click-to-Dial", AccountName: session.Email, Secret: secret, Period: stepSeconds})
	if err != nil {
		return Enrolment{}, fmt.Errorf("showing a second factor: %w", err)
	}
	return enrolment(key)
}

// ConfirmFactor sets the second factor up, by a code of it, and gives the
// recovery codes, which are shown this once. The session is followed by a full
// one. Errors: factor-refused, too-many-failures.
func (s *Service) ConfirmFactor(ctx context.Context, session Session, code string, v Visitor) (recovery []string, opened Opened, err error) {
	if session.Stage == models.StageFactor || session.HasFactor {
		return nil, Opened{}, errForbidden
	}
	user, err := s.DB.Credential(ctx, session.UserID)
	if err != nil {
		return nil, Opened{}, err
	}
	if user.TOTPSecret == nil || user.TOTPConfirmedAt != nil {
		return nil, Opened{}, errForbidden
	}
	secret, err := s.Keys.Open(sealFactor, user.TOTPSecret)
	if err != nil {
		return nil, Opened{}, fmt.Errorf("opening a second factor: %w", err)
	}
	var step int64
	err = s.attempt(ctx, s.accountBuckets("factor", user.ID.String(), v.Network), isFault(errFactor), func() error {
		found, right, err := stepOf(secret, normaliseCode(code), s.Now())
		if err == nil && !right {
			err = errFactor
		}
		step = found
		return err
	})
	if err != nil {
		return nil, Opened{}, err
	}
	recovery, rows, err := s.newRecoveryCodes(user)
	if err != nil {
		return nil, Opened{}, err
	}
	opened, row, err := s.newSession(user, models.StageFull, v)
	if err != nil {
		return nil, Opened{}, err
	}
	opened.HasFactor = true
	entry := audit.Entry(audit.By(session.Actor()), "second-factor-set", session.subject(), "")
	err = s.DB.ConfirmFactor(ctx, row, session.ID, user.TOTPSecret, step, rows, s.Now().UTC(), entry)
	if errors.Is(err, store.ErrNotFound) {
		err = errForbidden
	}
	return recovery, opened, err
}

func (s *Service) newRecoveryCodes(user store.Credential) (codes []string, rows []models.RecoveryCode, err error) {
	for range recoveryCodes {
		code, err := randomText(codeAlphabet, recoveryChars)
		if err != nil {
			return nil, nil, err
		}
		hash, err := s.Keys.MAC(macRecovery, user.ID.String()+code)
		if err != nil {
			return nil, nil, err
		}
		codes = append(codes, code[:recoveryChars/2]+"-"+code[recoveryChars/2:])
		rows = append(rows, models.RecoveryCode{
			ID: uuid.Must(uuid.NewV7()), TenantID: user.TenantID, UserID: user.ID, Hash: hash, CreatedAt: s.Now().UTC(),
		})
	}
	return codes, rows, nil
}

// NewRecoveryCodes puts new recovery codes in the place of the old, for who shows
// the second factor. Errors: factor-refused, too-many-failures.
func (s *Service) NewRecoveryCodes(ctx context.Context, session Session, code string, v Visitor) ([]string, error) {
	if err := session.mustBeFull(); err != nil {
		return nil, err
	}
	user, err := s.checkFactor(ctx, session, code, v)
	if err != nil {
		return nil, err
	}
	codes, rows, err := s.newRecoveryCodes(user)
	if err != nil {
		return nil, err
	}
	entry := audit.Entry(audit.By(session.Actor()), "recovery-codes-create", session.subject(), "")
	return codes, s.DB.ReplaceRecoveryCodes(ctx, user.ID, rows, entry)
}

// RemoveFactor takes the person's own second factor away. Errors:
// factor-required, factor-refused, too-many-failures.
func (s *Service) RemoveFactor(ctx context.Context, session Session, code string, v Visitor) error {
	if err := session.mustBeFull(); err != nil {
		return err
	}
	if session.MustFactor {
		return fault.New(fault.Refused, "factor-required", "Your account must have a second factor.")
	}
	if _, err := s.checkFactor(ctx, session, code, v); err != nil {
		return err
	}
	entry := audit.Entry(audit.By(session.Actor()), "second-factor-remove", session.subject(), "")
	return s.DB.RemoveFactor(ctx, store.SignInDesk, session.TenantID, session.UserID, entry)
}
