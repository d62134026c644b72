package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Pairing codes have no letter that reads like another, and no vowel that could
// spell something.
const (
	codeAlphabet = "23456789BCDFGHJKLMNPQRSTVWXZ"
	codeLength   = 8
	macPairing   = "pairing code"
)

// Tokens is the answer of a token endpoint (RFC 6749 5.1).
type Tokens struct {
	Access    string        `json:"access_token"`
	Refresh   string        `json:"refresh_token"`
	Scope     string        `json:"scope"`
	ExpiresIn time.Duration `json:"-"`
}

// Pair makes a code that signs one extension in as the user, once, for 5 minutes,
// from the command line. store.ErrNotFound when there is no user of this e-mail.
func (s *Service) Pair(ctx context.Context, email string, by audit.Actor) (code string, expires time.Time, err error) {
	user, err := s.DB.FindUser(ctx, foldEmail(email))
	if err != nil {
		return "", time.Time{}, err
	}
	subject := audit.Subject{Kind: "user", ID: user.ID}
	if user.TenantID != nil {
		subject.Tenant = *user.TenantID
	}
	return s.pair(ctx, store.CommandLine, subject, by.Kind, by)
}

func (s *Service) pair(ctx context.Context, as store.Asker, subject audit.Subject, madeBy string, by audit.Actor) (code string, expires time.Time, err error) {
	if code, err = randomText(codeAlphabet, codeLength); err != nil {
		return "", time.Time{}, err
	}
	hash, err := s.Keys.MAC(macPairing, code)
	if err != nil {
		return "", time.Time{}, err
	}
	now := s.Now().UTC()
	row := models.PairingCode{
		ID: uuid.Must(uuid.NewV7()), UserID: subject.ID, Hash: hash, MadeBy: madeBy, CreatedAt: now, ExpiresAt: now.Add(PairingLife),
	}
	if subject.Tenant != uuid.Nil {
		row.TenantID = &subject.Tenant
	}
	err = s.DB.CreatePairing(ctx, as, row, audit.Entry(by, "pairing-code-create", subject, ""))
	return code, row.ExpiresAt, err
}

// errCode is one answer for every code that is no use.
var errCode = fault.New(fault.Refused, "pairing-code-invalid",
	"This pairing code is not valid: codes work once, for five minutes. Ask for a new one.")

// Redeem turns a pairing code into a sign-in of the named client and device.
func (s *Service) Redeem(ctx context.Context, code, client, deviceName string) (Tokens, error) {
	if client != ExtensionClient {
		return Tokens{}, errClient
	}
	device, err := cleanDeviceName(deviceName)
	if err != nil {
		return Tokens{}, err
	}
	code = normaliseCode(code)
	if len(code) != codeLength {
		return Tokens{}, errCode
	}
	hash, err := s.Keys.MAC(macPairing, code)
	if err != nil {
		return Tokens{}, err
	}
	now := s.Now().UTC()
	grant, err := newGrant(client, device, AllScopes, now)
	if err != nil {
		return Tokens{}, err
	}
	tokens, issue, err := s.newPair(grant, now)
	if err != nil {
		return Tokens{}, err
	}
	err = s.DB.RedeemPairing(ctx, hash, now, func(pc models.PairingCode) (models.Grant, store.Issue, models.Audit) {
		grant.TenantID, grant.UserID, grant.MadeBy = pc.TenantID, pc.UserID, pc.MadeBy
		issue.Access.TenantID, issue.Refresh.TenantID = pc.TenantID, pc.TenantID
		entry := models.Audit{
			TenantID: pc.TenantID, ActorKind: "user", ActorID: &pc.UserID,
			Action: "sign-in", SubjectKind: "grant", SubjectID: &grant.ID, Reason: "pairing code made by " + pc.MadeBy,
		}
		return grant, issue, entry
	})
	if errors.Is(err, store.ErrNotFound) {
		return Tokens{}, errCode
	}
	return tokens, err
}

func newGrant(client, device, scopes string, now time.Time) (models.Grant, error) {
	supportCode, err := randomText("ABCDEFGHJKLMNPQRSTUVWXYZ", 6)
	return models.Grant{
		ID: uuid.Must(uuid.NewV7()), ClientID: client, DeviceName: device, SupportCode: supportCode,
		Scopes: scopes, CreatedAt: now, ExpiresAt: now.Add(SignInLife),
	}, err
}

// newPair makes an access and a refresh token for the grant.
func (s *Service) newPair(grant models.Grant, now time.Time) (Tokens, store.Issue, error) {
	access, err := newToken(models.AccessToken)
	if err != nil {
		return Tokens{}, store.Issue{}, err
	}
	refresh, err := newToken(models.RefreshToken)
	if err != nil {
		return Tokens{}, store.Issue{}, err
	}
	row := func(kind models.TokenKind, token string, life time.Duration) models.Token {
		expires := now.Add(life)
		if grant.ExpiresAt.Before(expires) {
			expires = grant.ExpiresAt
		}
		return models.Token{
			ID: uuid.Must(uuid.NewV7()), TenantID: grant.TenantID, GrantID: grant.ID, Kind: kind,
			Hash: hashToken(token), CreatedAt: now, ExpiresAt: expires,
		}
	}
	issue := store.Issue{
		Access:  row(models.AccessToken, access, AccessLife),
		Refresh: row(models.RefreshToken, refresh, RefreshLife),
	}
	return Tokens{Access: access, Refresh: refresh, Scope: grant.Scopes, ExpiresIn: issue.Access.ExpiresAt.Sub(now)}, issue, nil
}

// normaliseCode takes a code as people type it: any case, spaces and dashes.
func normaliseCode(code string) string {
	if len(code) > 40 {
		return ""
	}
	typed := make([]byte, 0, len(code))
	for _, c := range []byte(code) {
		switch {
		case c == ' ' || c == '-':
		case c >= 'a' && c <= 'z':
			typed = append(typed, c-'a'+'A')
		default:
			typed = append(typed, c)
		}
	}
	return string(typed)
}

func cleanDeviceName(name string) (string, error) {
	name = strings.TrimSpace(name)
	bad := strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
	if name == "" || bad || !utf8.ValidString(name) || utf8.RuneCountInString(name) > 80 {
		return "", fault.New(fault.Malformed, "device-name-invalid", "A device name is 1 to 80 printable characters.")
	}
	return name, nil
}

func randomText(alphabet string, length int) (string, error) {
	// Bytes beyond the last whole multiple are thrown away: each letter is as
	// likely as the next.
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, length)
	for buf := make([]byte, 1); len(out) < length; {
		if _, err := rand.Read(buf); err != nil {
			return "", fmt.Errorf("making a code: %w", err)
		}
		if int(buf[0]) < limit {
			out = append(out, alphabet[int(buf[0])%len(alphabet)])
		}
	}
	return string(out), nil
}
