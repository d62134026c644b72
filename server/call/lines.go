package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/fault"
	"clicktodial/server/pbx"
)

// Lines are the PBX connections: the installation's own, and those of tenants
// that have another, which are opened when first asked for.
type Lines struct {
	own  pbx.Adapter // PBX_URL; nil when there is none
	open func(ctx context.Context, id uuid.UUID) (pbx.Adapter, error)
	log  *slog.Logger

	mu      sync.Mutex
	others  map[uuid.UUID]pbx.Adapter
	started func(pbx.Adapter) // set by run: starts an adapter that comes later
}

// NewLines makes the connections; open makes the adapter of a tenant's own PBX.
func NewLines(own pbx.Adapter, open func(context.Context, uuid.UUID) (pbx.Adapter, error), log *slog.Logger) *Lines {
	return &Lines{own: own, open: open, log: log, others: map[uuid.UUID]pbx.Adapter{}}
}

// run keeps all lines up until ctx ends.
func (l *Lines) run(ctx context.Context, sink func(pbx.Event)) error {
	var lines sync.WaitGroup
	start := func(line pbx.Adapter) {
		lines.Go(func() {
			if err := line.Run(ctx, sink); err != nil && ctx.Err() == nil {
				l.log.Error("a line to a PBX has stopped", "error", err)
			}
		})
	}
	l.mu.Lock()
	l.started = start
	if l.own != nil {
		start(l.own)
	}
	for _, line := range l.others {
		start(line)
	}
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	l.started = nil
	l.mu.Unlock()
	lines.Wait()
	return ctx.Err()
}

// line gives the connection with this id; Nil is the installation's own.
func (l *Lines) line(ctx context.Context, id uuid.UUID) (pbx.Adapter, error) {
	if id == uuid.Nil {
		if l.own == nil {
			return nil, pbx.Unavailable(errors.New("no PBX_URL"))
		}
		return l.own, nil
	}
	line, fresh, err := l.other(ctx, id)
	if fresh {
		awaitUp(ctx, line)
	}
	return line, err
}

// other gives a tenant's own connection, and says whether it has just been opened.
func (l *Lines) other(ctx context.Context, id uuid.UUID) (line pbx.Adapter, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line, ok := l.others[id]; ok {
		return line, false, nil
	}
	line, err = l.open(ctx, id)
	if err != nil {
		if f, ok := fault.Of(err); ok && f.Kind == fault.Unavailable {
			return nil, false, err
		}
		return nil, false, pbx.Unavailable(fmt.Errorf("opening a tenant's PBX: %w", err))
	}
	l.others[id] = line
	if l.started != nil {
		l.started(line)
		fresh = true
	}
	return line, fresh, nil
}

// awaitUp gives a line that has just been opened a second to connect, so that a
// tenant's first click after our start is not refused for it.
func awaitUp(ctx context.Context, line pbx.Adapter) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for line.Up() != nil && pause(ctx, 10*time.Millisecond) {
	}
}

// Up says of the installation's own line whether it is up.
func (l *Lines) Up() error {
	if l.own == nil {
		return nil // each tenant brings its own
	}
	return l.own.Up()
}
