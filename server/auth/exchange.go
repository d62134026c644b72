package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Grant types of the token endpoint.
const (
	GrantCode    = "authorization_code"
	GrantRefresh = "refresh_token"
	GrantPairing = "urn:clicktodial:pairing-code"
)

// OAuthError is an error of RFC 6749 5.2, with our fault for who knows it, and,
// of a sign-in that somebody ended, how.
type OAuthError struct {
	Code  string
	Fault *fault.Error // may be nil
	End   *End
}

// Error gives the code.
func (e *OAuthError) Error() string { return "token request: " + e.Code }

// Unwrap gives the fault.
func (e *OAuthError) Unwrap() error {
	if e.Fault == nil {
		return nil
	}
	return e.Fault
}

// parameters that a grant type needs.
var needed = map[string][]string{
	GrantCode:    {"code", "redirect_uri", "client_id", "code_verifier"},
	GrantRefresh: {"refresh_token", "client_id"},
	GrantPairing: {"code", "client_id", "device_name"},
}

// Exchange answers the token endpoint (RFC 6749 4.1.3, 6). The form has each
// parameter once. The error is an *OAuthError, or a fault of our own.
func (s *Service) Exchange(ctx context.Context, form url.Values, network netip.Prefix) (tokens Tokens, err error) {
	kind := form.Get("grant_type")
	names, known := needed[kind]
	switch {
	case kind == "":
		return tokens, &OAuthError{Code: "invalid_request"}
	case !known:
		return tokens, &OAuthError{Code: "unsupported_grant_type"}
	}
	for _, name := range names {
		if form.Get(name) == "" {
			return tokens, &OAuthError{Code: "invalid_request"}
		}
	}
	client := form.Get("client_id")
	if _, known := s.redirectOf(client); !known {
		return tokens, &OAuthError{Code: "invalid_client", Fault: errClient}
	}
	err = s.attempt(ctx, s.networkBuckets("token", network), isGuess, func() (err error) {
		switch kind {
		case GrantCode:
			tokens, err = s.redeemCode(ctx, form)
		case GrantRefresh:
			tokens, err = s.Refresh(ctx, form.Get("refresh_token"), client, form.Get("scope"))
		default:
			tokens, err = s.Redeem(ctx, form.Get("code"), client, form.Get("device_name"))
		}
		return err
	})
	return tokens, oauthError(err)
}

// isGuess says whether an error may be somebody trying codes.
func isGuess(err error) bool {
	var stopped *Stopped
	f, ok := fault.Of(err)
	return ok && f.Kind == fault.Refused && !errors.As(err, &stopped)
}

func oauthError(err error) error {
	f, ok := fault.Of(err)
	if err == nil || !ok || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return err
	}
	e := &OAuthError{Code: "invalid_grant", Fault: f}
	var stopped *Stopped
	switch {
	case errors.As(err, &stopped):
		e.End = &stopped.End
	case f.Kind == fault.TooMany:
		e.Code = "temporarily_unavailable"
	case f.Code == errClient.Code:
		e.Code = "invalid_client"
	case f.Code == errScope.Code:
		e.Code = "invalid_scope"
	case f.Kind == fault.Malformed:
		e.Code = "invalid_request"
	}
	return e
}

// errGrant is one answer for every authorization code that is no use.
var errGrant = fault.New(fault.Refused, "code-invalid", "This sign-in cannot be completed: begin again.")

// redeemCode turns an authorization code into a sign-in, once (RFC 6749 4.1.3, RFC
// 7636 4.6). A second use ends the sign-in that the first has made.
func (s *Service) redeemCode(ctx context.Context, form url.Values) (tokens Tokens, err error) {
	if !isSecret(form.Get("code")) {
		return tokens, errGrant
	}
	now := s.Now().UTC()
	ended, err := s.DB.RedeemCode(ctx, hashToken(form.Get("code")), now, func(code models.AuthorizationCode) (models.Grant, store.Issue, models.Audit, error) {
		var issue store.Issue
		if !now.Before(code.ExpiresAt) || form.Get("client_id") != code.ClientID || form.Get("redirect_uri") != code.RedirectURI ||
			!proves(form.Get("code_verifier"), code.Challenge) {
			return models.Grant{}, issue, models.Audit{}, errGrant
		}
		scopes, err := narrow(form.Get("scope"), code.Scopes)
		if err != nil {
			return models.Grant{}, issue, models.Audit{}, err
		}
		grant, err := newGrant(code.ClientID, code.DeviceName, scopes, now)
		if err != nil {
			return models.Grant{}, issue, models.Audit{}, err
		}
		grant.TenantID, grant.UserID, grant.MadeBy = code.TenantID, code.UserID, "user"
		tokens, issue, err = s.newPair(grant, now)
		entry := models.Audit{
			TenantID: code.TenantID, ActorKind: "user", ActorID: &code.UserID,
			Action: "sign-in", SubjectKind: "grant", SubjectID: &grant.ID, Reason: "consented in a browser",
		}
		return grant, issue, entry, err
	})
	s.spread(ctx, ended.Tokens)
	if errors.Is(err, store.ErrNotFound) {
		err = errGrant
	}
	if err != nil {
		return Tokens{}, err
	}
	return tokens, nil
}

// proves says whether the verifier is the one of the challenge (RFC 7636 4.6, S256).
func proves(verifier, challenge string) bool {
	if !verifierForm.MatchString(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// Metadata describes the authorization server (RFC 8414 2, RFC 9207 3).
type Metadata struct {
	Issuer                        string   `json:"issuer"`
	AuthorizationEndpoint         string   `json:"authorization_endpoint"`
	TokenEndpoint                 string   `json:"token_endpoint"`
	RevocationEndpoint            string   `json:"revocation_endpoint"`
	IntrospectionEndpoint         string   `json:"introspection_endpoint"`
	ScopesSupported               []string `json:"scopes_supported"`
	ResponseTypes                 []string `json:"response_types_supported"`
	ResponseModes                 []string `json:"response_modes_supported"`
	GrantTypes                    []string `json:"grant_types_supported"`
	TokenAuthMethods              []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods         []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods      []string `json:"introspection_endpoint_auth_methods_supported"`
	ChallengeMethods              []string `json:"code_challenge_methods_supported"`
	UILocales                     []string `json:"ui_locales_supported"`
	IssParameterInAuthorizeAnswer bool     `json:"authorization_response_iss_parameter_supported"`
}

// Metadata gives it.
func (s *Service) Metadata() Metadata {
	return Metadata{
		Issuer: s.PublicURL, AuthorizationEndpoint: s.PublicURL + "/oauth/authorize", TokenEndpoint: s.PublicURL + "/oauth/token",
		RevocationEndpoint: s.PublicURL + "/oauth/revoke", IntrospectionEndpoint: s.PublicURL + "/oauth/introspect",
		ScopesSupported: strings.Fields(AllScopes), ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		GrantTypes: []string{GrantCode, GrantRefresh, GrantPairing}, TokenAuthMethods: []string{"none"},
		RevocationAuthMethods: []string{"none"}, IntrospectionAuthMethods: []string{"client_secret_basic"},
		ChallengeMethods: []string{"S256"}, UILocales: []string{"en", "nl", "de"}, IssParameterInAuthorizeAnswer: true,
	}
}
