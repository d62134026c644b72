package auth

import (
	"strings"
	"testing"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	anna := guessable("anna.smit@example.test", "Anna Smit", "Acme Telecom")
	for _, row := range []struct {
		name, password string
		code           string
	}{
		{"a sentence", passphrase, ""}, {"random", "xk2-Vq9_mZ7t", ""}, {"other letters", "ééééöøñçß漢字仮名", ""}, {"twelve characters of more bytes", "漢字仮名交文例示試験語", "password-weak"},
		{"blanks count", "a b c d e f g", ""}, {"empty", "", "password-weak"}, {"eleven", "xk2-Vq9_mZ7", "password-weak"},
		{"as long as it may be", passphrase + strings.Repeat("é", 256-len(passphrase)), ""},
		{"one too long", passphrase + strings.Repeat("é", 257-len(passphrase)), "password-weak"}, {"very long", strings.Repeat(passphrase, 100_000), "password-weak"},
		{"not UTF-8", passphrase + "\xff", "password-weak"},
		{"common", "password1234", "password-common"}, {"common in capitals", "PASSWORD1234", "password-common"}, {"keys in a row", "qwertyuiopas", "password-common"},
		{"one letter", "aaaaaaaaaaaa", "password-common"}, {"a word again and again", "passwordpassword", "password-common"}, {"digits", "123456789012", "password-common"},
		{"our own name", "clicktodial1", "password-common"}, {"the e-mail", "anna.smit@example.test", "password-common"}, {"the name", "AnnaSmitAnnaSmit", "password-common"},
		{"the company", "acmetelecom1", "password-common"},
	} {
		err := CheckPassword(row.password, anna...)
		wantCode(t, row.name, err, row.code)
		if err != nil && row.password != "" && len(row.password) < 300 && strings.Contains(err.Error(), row.password) {
			t.Errorf("%s: the error tells it", row.name)
		}
	}
}

func TestParseHash(t *testing.T) {
	t.Parallel()
	cheap := cheapHash()
	if p, err := parseHash(cheap); err != nil || p.String() != cheap || string(p.derive(passphrase)) != string(p.key) {
		t.Fatalf("%v", err)
	}
	usual := argonParams{argonTime, argonMemory, argonThreads, make([]byte, 16), make([]byte, argonKey)}.String()
	if !strings.HasPrefix(usual, "$argon2id$v=19$m=65536,t=3,p=4$") { // RFC 9106 4
		t.Errorf("a hash of ours is %s", usual)
	}
	for name, hash := range map[string]string{
		"empty": "", "text": "secret", "bcrypt": "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"argon2i": strings.Replace(cheap, "argon2id", "argon2i", 1), "another version": strings.Replace(cheap, "v=19", "v=16", 1),
		"no salt": strings.Replace(cheap, "c2l4dGVlbiBieXRlcyBvaw", "", 1), "a short key": cheap[:len(cheap)-4], "a part more": cheap + "$",
		"much memory": strings.Replace(cheap, "m=8", "m=99999999", 1), "no memory": strings.Replace(cheap, "m=8", "m=0", 1),
		"much time": strings.Replace(cheap, "t=1", "t=101", 1), "no time": strings.Replace(cheap, "t=1", "t=0", 1),
		"no threads": strings.Replace(cheap, "p=1", "p=0", 1), "many threads": strings.Replace(cheap, "p=1", "p=256", 1), "no parameters": strings.Replace(cheap, "m=8,t=1,p=1", "", 1),
	} {
		if _, err := parseHash(hash); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// What a row holds can ask for no more work than we allow.
func FuzzParseHash(f *testing.F) {
	for _, seed := range []string{"", cheapHash(), nobody.String(), "$argon2id$v=19$m=-1,t=1,p=1$$", "$$$$$", "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbg$\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseHash(text)
		if err != nil {
			return
		}
		if p.memory > 1<<20 || p.time > 100 || p.time < 1 || p.threads < 1 || len(p.key) != argonKey {
			t.Errorf("%q asks for %+v", text, p)
		}
		if again, err := parseHash(p.String()); err != nil || again.String() != p.String() {
			t.Errorf("%q is not stable: %v", text, err)
		}
	})
}
