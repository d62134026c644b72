package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a running server.
type process struct {
	addr string
	cmd  *exec.Cmd
	log  *os.File
}

const (
	readyLimit = 20 * time.Second
	stopLimit  = 15 * time.Second
)

// environ is the server's whole environment: nothing of ours leaks in.
func (b *bench) environ(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "DATABASE_URL=" + b.Database, "REDIS_URL=" + b.Redis, "LOG_LEVEL=warn",
	}, more...)
}

func (b *bench) migrate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.Server, "migrate")
	cmd.Env = b.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrating: %w: %s", err, out)
	}
	return nil
}

// installation is what its replicas share.
type installation struct {
	prefix, key string
	settings    []string // what its servers are told besides
}

// environ is what each of its processes is told.
func (of installation) environ() []string {
	return append([]string{"SECRET_KEY=" + of.key, "REDIS_PREFIX=" + of.prefix}, of.settings...)
}

func newInstallation(name string) installation {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand, Go 1.24)
	return installation{prefix: "bench-" + name + ":", key: base64.StdEncoding.EncodeToString(key)}
}

// serve starts the server with a PBX, under a name for its log and its Redis keys.
func (b *bench) serve(ctx context.Context, name, pbxURL string) (*process, error) {
	return b.serveReplica(ctx, newInstallation(name), name, pbxURL, b.Redis)
}

// serveReplica starts one of an installation's servers, which reaches Redis there.
func (b *bench) serveReplica(ctx context.Context, of installation, name, pbxURL, redis string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	inside, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.Server, "serve")
	cmd.Env = b.environ(append(of.environ(), "LISTEN="+addr, "METRICS_LISTEN="+inside, "PBX_URL="+pbxURL,
		"REDIS_URL="+redis)...) // the last of two counts
	return b.start(ctx, name, addr, cmd)
}

// start runs a server until it is ready.
func (b *bench) start(ctx context.Context, name, addr string, cmd *exec.Cmd) (p *process, err error) {
	p = &process{addr: addr, cmd: cmd}
	if p.log, err = os.Create(filepath.Join(b.Dir, name+".log")); err != nil {
		return nil, err
	}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the server for %s: %w", name, err)
	}
	if err := p.await(ctx); err != nil {
		p.stop()
		return nil, fmt.Errorf("the server for %s (see %s): %w", name, p.log.Name(), err)
	}
	return p, nil
}

// await waits until the server and its PBX are ready.
func (p *process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		if p.ready(ctx) {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("is not ready in time")
		}
	}
}

// ready asks for a 200 in which every dependency is well.
func (p *process) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	var said readiness
	return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&said) == nil && said.well()
}

// stop ends the server in order, or kills it.
func (p *process) stop() {
	gone := make(chan struct{})
	go func() {
		_ = p.cmd.Wait() // however it ended, it has
		close(gone)
	}()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-gone:
	case <-time.After(stopLimit):
		_ = p.cmd.Process.Kill()
		<-gone
	}
	_ = p.log.Close() // only read by people
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // it was only asked for its port
	return l.Addr().String(), nil
}

// readiness is what /readyz says.
type readiness struct {
	Dependencies []struct {
		Name string `json:"name"`
		OK   bool   `json:"ok"`
	} `json:"dependencies"`
}

func (r readiness) well() bool {
	for _, d := range r.Dependencies {
		if !d.OK {
			return false
		}
	}
	return len(r.Dependencies) > 0
}
