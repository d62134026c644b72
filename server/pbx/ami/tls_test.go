package ami

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
)

// certificate makes one for 127.0.0.1, and the file for ca=.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestTLS(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	cert, ca := certificate(t)
	f.serveTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	secure := strings.Replace(f.url(national), "ami:", "amis:", 1)

	h := f.harness(t)
	h.Open = func(t *testing.T) pbx.Adapter { return openQuick(t, secure+"&ca="+url.QueryEscape(ca), quiet()) }
	l := h.Start(t)
	id := h.Dial(t, l, h.Calls[pbxtest.Answered])
	l.Wait(id, pbx.Ended)

	r, err := openQuick(t, secure, quiet()).Check(t.Context(), pbx.Check{})
	if err != nil || r.OK || r.Findings[0].Code != "tls" {
		t.Errorf("a certificate that nobody vouches for: %+v, %v", r, err)
	}
	wrongName := strings.Replace(secure, "127.0.0.1", "localhost", 1) + "&ca=" + url.QueryEscape(ca)
	r, err = openQuick(t, wrongName, quiet()).Check(t.Context(), pbx.Check{})
	if err != nil || r.OK || r.Findings[0].Code != "tls" {
		t.Errorf("a certificate for another name: %+v, %v", r, err)
	}
}

// serveTLS opens the fake's port again, for TLS.
func (f *fake) serveTLS(config *tls.Config) {
	f.stop()
	f.wrap = func(c net.Conn) net.Conn { return tls.Server(c, config) }
	f.listen("127.0.0.1:0")
}
