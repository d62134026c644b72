package testdb

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// lockFile holds a lock that other test binaries see; it is released by unlock,
// or by the end of the process.
func lockFile(t testing.TB, name string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(os.TempDir(), name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() } //nolint:errcheck // closing releases it
}
