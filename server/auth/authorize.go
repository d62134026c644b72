package auth

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// DonePath is where the browser comes back to: the one redirect of the extension.
const DonePath = "/oauth/done"

// redirectOf is the one redirect URI of a public client, to be matched exactly
// (RFC 9700 2.1).
func (s *Service) redirectOf(client string) (string, bool) {
	if client != ExtensionClient {
		return "", false
	}
	return s.PublicURL + DonePath, true
}

var errClient = fault.New(fault.Refused, "client-unknown", "This client is not known here.")

// Authorization is a request of RFC 6749 4.1.1 that may be put to the user.
type Authorization struct {
	ClientID    string
	RedirectURI string
	State       string
	Challenge   string // S256
	Scopes      []string
	DeviceName  string // as the client proposes it; "" when it does not
}

// AuthorizeError is a request that is not put to the user.
type AuthorizeError struct {
	Code     string // RFC 6749 4.1.2.1: invalid_request …
	Redirect string // where the browser is sent with it; "": tell the person, the redirect is not to be trusted
}

// Error gives the code.
func (e *AuthorizeError) Error() string { return "authorization request: " + e.Code }

var (
	challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)       // RFC 7636 4.2: 32 bytes in base64url
	verifierForm  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`) // RFC 7636 4.1
	stateForm     = regexp.MustCompile(`^[\x20-\x7e]{1,512}$`)      // RFC 6749 A.5
)

// ReadAuthorization checks an authorization request (RFC 6749 4.1.1, RFC 7636
// 4.3). The error is an *AuthorizeError. Only once client and redirect are known
// to belong together is anything sent there (RFC 6749 4.1.2.1).
func (s *Service) ReadAuthorization(query url.Values) (Authorization, error) {
	a := Authorization{ClientID: query.Get("client_id"), RedirectURI: query.Get("redirect_uri"), State: query.Get("state")}
	redirect, known := s.redirectOf(a.ClientID)
	switch {
	case len(query["client_id"]) != 1 || !known:
		return a, &AuthorizeError{Code: "invalid_client"}
	case len(query["redirect_uri"]) != 1 || a.RedirectURI != redirect:
		return a, &AuthorizeError{Code: "invalid_redirect_uri"}
	}
	if len(query["state"]) > 1 || (a.State != "" && !stateForm.MatchString(a.State)) {
		a.State = "" // not to be sent back as it came
		return a, s.refuseAuthorization(a, "invalid_request")
	}
	if code := checkAuthorization(query); code != "" {
		return a, s.refuseAuthorization(a, code)
	}
	a.Challenge = query.Get("code_challenge")
	scopes, err := narrow(query.Get("scope"), AllScopes)
	if err != nil {
		return a, s.refuseAuthorization(a, "invalid_scope")
	}
	a.Scopes = strings.Fields(scopes)
	if name, err := cleanDeviceName(query.Get("device_name")); err == nil {
		a.DeviceName = name
	}
	return a, nil
}

// checkAuthorization gives the error code of what is wrong, or "". A parameter
// without a value counts as left out (RFC 6749 3.1).
func checkAuthorization(query url.Values) string {
	for name, values := range query {
		if len(values) > 1 { // RFC 6749 3.1
			return "invalid_request"
		}
		if len(name) > 100 || len(values[0]) > 1000 || !utf8.ValidString(values[0]) {
			return "invalid_request"
		}
	}
	switch {
	case query.Get("response_type") == "":
		return "invalid_request"
	case query.Get("response_type") != "code":
		return "unsupported_response_type"
	case query.Get("request") != "": // RFC 9101
		return "request_not_supported"
	case query.Get("request_uri") != "":
		return "request_uri_not_supported"
	case query.Get("response_mode") != "" && query.Get("response_mode") != "query":
		return "invalid_request"
	case query.Get("code_challenge_method") != "S256": // absent means plain (RFC 7636 4.3)
		return "invalid_request"
	case !challengeForm.MatchString(query.Get("code_challenge")):
		return "invalid_request"
	}
	return ""
}

func (s *Service) refuseAuthorization(a Authorization, code string) error {
	return &AuthorizeError{Code: code, Redirect: s.backTo(a, url.Values{"error": {code}})}
}

// backTo is the client's redirect with parameters, its state and our name (RFC
// 9207 2).
func (s *Service) backTo(a Authorization, with url.Values) string {
	if a.State != "" {
		with.Set("state", a.State)
	}
	with.Set("iss", s.PublicURL)
	return a.RedirectURI + "?" + with.Encode()
}

// Deny is where the browser goes when the person says no.
func (s *Service) Deny(a Authorization) (redirect string) {
	return s.backTo(a, url.Values{"error": {"access_denied"}})
}

// Allow makes a code for what the session's person has consented to, on the device
// as they call it, and says where the browser goes with it. Errors: forbidden,
// device-name-invalid; unauthorized when the session has ended.
func (s *Service) Allow(ctx context.Context, session Session, a Authorization, deviceName string) (redirect string, err error) {
	if err := session.mustBeFull(); err != nil {
		return "", err
	}
	device, err := cleanDeviceName(deviceName)
	if err != nil {
		return "", err
	}
	code, err := newSecret()
	if err != nil {
		return "", err
	}
	now := s.Now().UTC()
	row := models.AuthorizationCode{
		ID: uuid.Must(uuid.NewV7()), UserID: session.UserID, Hash: hashToken(code), ClientID: a.ClientID, RedirectURI: a.RedirectURI,
		Challenge: a.Challenge, Scopes: strings.Join(a.Scopes, " "), DeviceName: device, CreatedAt: now, ExpiresAt: now.Add(CodeLife),
	}
	if session.TenantID != uuid.Nil {
		row.TenantID = &session.TenantID
	}
	err = s.DB.CreateCode(ctx, row, session.ID)
	if errors.Is(err, store.ErrNotFound) {
		return "", errUnauthorized
	}
	if err != nil {
		return "", err
	}
	return s.backTo(a, url.Values{"code": {code}}), nil
}
