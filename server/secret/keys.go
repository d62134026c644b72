// Package secret seals and hashes under keys that are derived from SECRET_KEY.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Keys are what is derived from SECRET_KEY: the first of a list seals, all open.
type Keys struct{ masters [][]byte }

// NewKeys takes the master keys, 32 bytes each, at least one.
func NewKeys(masters [][]byte) (*Keys, error) {
	if len(masters) == 0 {
		return nil, errors.New("SECRET_KEY is empty")
	}
	for _, m := range masters {
		if len(m) != 32 {
			return nil, errors.New("a SECRET_KEY is not 32 bytes long")
		}
	}
	return &Keys{masters: masters}, nil
}

func (k *Keys) derive(i int, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, k.masters[i], nil, "click-to-dial "+purpose, 32)
}

// Seal encrypts under the first key (AES-256-GCM); purpose must be the same when
// it is opened.
func (k *Keys) Seal(purpose string, plain []byte) ([]byte, error) {
	key, err := k.derive(0, purpose)
	if err != nil {
		return nil, err
	}
	return Seal(key, plain)
}

// Open decrypts what any of the keys sealed.
func (k *Keys) Open(purpose string, sealed []byte) ([]byte, error) {
	for i := range k.masters {
		key, err := k.derive(i, purpose)
		if err != nil {
			return nil, err
		}
		if plain, err := Open(key, sealed); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("sealed under another SECRET_KEY")
}

// Daily is a key for one day's counters, so that what they count cannot be tied
// to the next day's.
func (k *Keys) Daily(day string) []byte {
	key, err := k.derive(0, "daily "+day)
	if err != nil {
		panic("deriving a key: " + err.Error()) // HKDF of 32 bytes cannot fail
	}
	return key
}

// MAC is a keyed hash under the first key, for what is too short to hash plainly.
func (k *Keys) MAC(purpose, text string) ([]byte, error) { return k.mac(0, purpose, text) }

// MACs are the keyed hashes under each of the keys, the first one first: what was
// hashed before a new key came is still found.
func (k *Keys) MACs(purpose, text string) (all [][]byte, err error) {
	for i := range k.masters {
		hash, err := k.mac(i, purpose, text)
		if err != nil {
			return nil, err
		}
		all = append(all, hash)
	}
	return all, nil
}

func (k *Keys) mac(i int, purpose, text string) ([]byte, error) {
	key, err := k.derive(i, purpose)
	if err != nil {
		return nil, err
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil), nil
}

// Seal encrypts under a key of 32 bytes (AES-256-GCM).
func Seal(key, plain []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("making a nonce: %w", err)
	}
	return aead.Seal(nonce, nonce, plain, nil), nil
}

// Open decrypts what Seal has made with the key.
func Open(key, sealed []byte) ([]byte, error) {
	aead, err := gcm(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("sealed text is too short")
	}
	return aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
