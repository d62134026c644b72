package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// meter sums the processor time of the server, of Redis, and of Postgres with all
// its backends. Unlike a rate it hardly depends on what else the machine does. Linux
// only; elsewhere it stays at zero and is not printed.
type meter struct {
	server, redis, postgres time.Duration
	work                    int // calls, transactions, or requests
}

const tick = 10 * time.Millisecond // Linux's USER_HZ

// metered adds what fn made them use.
func (b *bench) metered(ctx context.Context, m *meter, server *process, fn func() (work int, err error)) error {
	postmaster, err := b.data.postmaster(ctx)
	if err != nil {
		return err
	}
	pid := 0
	if server != nil {
		pid = server.cmd.Process.Pid
	}
	redis := b.redisPID()
	serverBefore, redisBefore, postgresBefore := used(pid, false), used(redis, false), familyUsed(postmaster)
	work, err := fn()
	m.server += used(pid, false) - serverBefore
	m.redis += used(redis, false) - redisBefore
	m.postgres += familyUsed(postmaster) - postgresBefore
	m.work += work
	return err
}

// postmaster finds the parent of our own backend.
func (d *database) postmaster(ctx context.Context) (int, error) {
	var backend int
	if err := d.conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, err
	}
	fields := stat(backend)
	if len(fields) < 2 {
		return 0, nil
	}
	return strconv.Atoi(fields[1])
}

// redisPID reads what scripts/lib/redis.sh has Redis write.
func (b *bench) redisPID() int {
	text, _ := os.ReadFile(filepath.Join(b.Dir, "redis", "redis.pid")) // 0 where there is none
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// stat gives the fields of /proc/PID/stat from the state on (proc(5), field 3).
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

// used is the processor time of a process; with that of its ended children.
func used(pid int, children bool) time.Duration {
	fields := stat(pid)
	if pid == 0 || len(fields) < 15 {
		return 0
	}
	last := 13 // utime and stime are fields 14 and 15, those of ended children 16 and 17
	if children {
		last = 15
	}
	ticks := 0
	for _, f := range fields[11:last] {
		n, _ := strconv.Atoi(f) // the kernel writes numbers
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// familyUsed is used with all living children.
func familyUsed(pid int) time.Duration {
	sum := used(pid, true)
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // a fixed pattern
	for _, list := range lists {
		text, _ := os.ReadFile(list) //nolint:gosec // ours; one that has gone has no children
		for _, child := range strings.Fields(string(text)) {
			n, _ := strconv.Atoi(child)
			sum += used(n, false)
		}
	}
	return sum
}

// String gives the milliseconds of one.
func (m meter) String() string {
	each := func(d time.Duration) float64 { return millis(d) / float64(max(1, m.work)) }
	if m.server == 0 {
		return fmt.Sprintf("%.2f ms in Postgres", each(m.postgres))
	}
	return fmt.Sprintf("%.2f ms in the server, %.2f ms in Postgres", each(m.server), each(m.postgres))
}

// micros gives the microseconds of one, for what is too quick for milliseconds.
func (m meter) micros() string {
	each := func(d time.Duration) float64 { return 1000 * millis(d) / float64(max(1, m.work)) }
	return fmt.Sprintf("%.0f µs in the server, %.0f µs in Redis, %.0f µs in Postgres", each(m.server), each(m.redis), each(m.postgres))
}
