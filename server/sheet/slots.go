package sheet

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/fault"
)

const atOnce = 2 // exports of one person on one replica

// Slots counts the exports that are under way, by who asked. The zero value is
// ready; its methods may be called at once.
type Slots struct {
	mu      sync.Mutex
	running map[uuid.UUID]int
}

// Begin takes a slot until end is called, a second time without effect. Errors:
// exports-running, when a person has two already.
func (s *Slots) Begin(by uuid.UUID) (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		s.running = map[uuid.UUID]int{}
	}
	if s.running[by] >= atOnce {
		f := fault.New(fault.TooMany, "exports-running", "Two exports of yours are under way; wait for one to end.")
		f.RetryAfter = 10 * time.Second
		return nil, f
	}
	s.running[by]++
	return sync.OnceFunc(func() { s.end(by) }), nil
}

func (s *Slots) end(by uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[by]--; s.running[by] <= 0 {
		delete(s.running, by)
	}
}
