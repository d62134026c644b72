package auth

import (
	"regexp"
	"strings"
	"testing"

	"clicktodial/models"
)

func TestTokenFormat(t *testing.T) {
	t.Parallel()
	forms := map[models.TokenKind]*regexp.Regexp{
		models.AccessToken:  regexp.MustCompile(`^c2da_[0-9A-Za-z]{49}$`),
		models.RefreshToken: regexp.MustCompile(`^c2dr_[0-9A-Za-z]{49}$`),
	}
	seen := map[string]bool{}
	for kind, form := range forms {
		for range 1000 {
			token, err := newToken(kind)
			if err != nil {
				t.Fatal(err)
			}
			if !form.MatchString(token) || !wellFormed(kind, token) {
				t.Fatalf("%s token %q is malformed", kind, token)
			}
			if seen[token] || seen[string(hashToken(token))] {
				t.Fatal("a token came twice")
			}
			seen[token], seen[string(hashToken(token))] = true, true
		}
	}
}

// Each single wrong character is noticed without a database.
func TestChecksum(t *testing.T) {
	t.Parallel()
	token, err := newToken(models.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		for _, c := range []byte("0Zz_ \x00\xff") {
			if token[i] == c {
				continue
			}
			wrong := []byte(token)
			wrong[i] = c
			if wellFormed(models.AccessToken, string(wrong)) {
				t.Errorf("a wrong character at %d is not noticed", i)
			}
		}
	}
	for _, wrong := range []string{"", "c2da_", token[:len(token)-1], token + "0", " " + token, strings.Repeat("c2da_", 1000)} {
		if wellFormed(models.AccessToken, wrong) {
			t.Errorf("%q is well-formed", wrong)
		}
	}
	if wellFormed(models.RefreshToken, token) {
		t.Error("an access token passes for a refresh token")
	}
}

func FuzzWellFormed(f *testing.F) {
	token, err := newToken(models.AccessToken)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", token, token[:30], "c2da_", "c2dr_" + strings.Repeat("0", 49), "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []models.TokenKind{models.AccessToken, models.RefreshToken} {
			if wellFormed(kind, text) && (len(text) != 54 || !strings.HasPrefix(text, prefixOf(kind))) {
				t.Errorf("%q passes for a token", text)
			}
		}
	})
}

func FuzzNormaliseCode(f *testing.F) {
	for _, seed := range []string{"", "BCDF-GHJK", "bcdf ghjk", "ſtrange", "\xff\xfe", strings.Repeat("-", 41)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code := normaliseCode(text)
		if normaliseCode(code) != code {
			t.Errorf("%q is not stable: %q", text, code)
		}
	})
}

func TestRandomText(t *testing.T) {
	t.Parallel()
	counts := map[rune]int{}
	for range 4000 {
		code, err := randomText(codeAlphabet, codeLength)
		if err != nil || len(code) != codeLength {
			t.Fatal(code, err)
		}
		for _, c := range code {
			counts[c]++
		}
	}
	for _, c := range codeAlphabet {
		// 32,000 letters over 28: about 1143 each; 200 is six standard deviations.
		if n := counts[c]; n < 943 || n > 1343 {
			t.Errorf("%c came %d times", c, n)
		}
	}
	if len(counts) != len(codeAlphabet) {
		t.Errorf("%d different letters", len(counts))
	}
}
