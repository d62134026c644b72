package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

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
	l.mu.Lock()
	defer l.mu.Unlock()
	if line, ok := l.others[id]; ok {
		return line, nil
	}
	line, err := l.open(ctx, id)
	if err != nil {
		if _, ok := fault.Of(err); ok {
			return nil, err
		}
		return nil, pbx.Unavailable(fmt.Errorf("opening a tenant's PBX: %w", err))
	}
	l.others[id] = line
	if l.started != nil {
		l.started(line)
	}
	return line, nil
}

// Up says of the installation's own line whether it is up.
func (l *Lines) Up() error {
	if l.own == nil {
		return nil // each tenant brings its own
	}
	return l.own.Up()
}
