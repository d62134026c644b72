package secret

import (
	"bytes"
	"testing"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	old, fresh := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	keys := func(masters ...[]byte) *Keys {
		k, err := NewKeys(masters)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sealed, err := keys(old).Seal("pbx", []byte("ami://user:secret@host"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("not sealed", err)
	}
	for name, k := range map[string]*Keys{"the same": keys(old), "a new one first": keys(fresh, old)} {
		if plain, err := k.Open("pbx", sealed); err != nil || string(plain) != "ami://user:secret@host" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := keys(fresh).Open("pbx", sealed); err == nil {
		t.Error("another key opens it")
	}
	if _, err := keys(old).Open("other", sealed); err == nil {
		t.Error("another purpose opens it")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := keys(old).Open("pbx", bad); err == nil {
			t.Fatalf("a changed byte %d is not noticed", i)
		}
	}
	for _, short := range [][]byte{nil, sealed[:5], sealed[:12]} {
		if _, err := keys(old).Open("pbx", short); err == nil {
			t.Error("a piece opens")
		}
	}
	first, err := keys(old).MAC("numbers", "a")
	if err != nil {
		t.Fatal(err)
	}
	if all, err := keys(fresh, old).MACs("numbers", "a"); err != nil || len(all) != 2 || !bytes.Equal(all[1], first) || bytes.Equal(all[0], first) {
		t.Errorf("hashes after a new key: %v", err)
	}
	for name, masters := range map[string][][]byte{"none": nil, "short": {old[:31]}, "long": {append(bytes.Clone(old), 0)}} {
		if _, err := NewKeys(masters); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
