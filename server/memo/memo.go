// Package memo remembers what was found out for a moment, in this process.
package memo

import (
	"sync"
	"time"
)

// Most is how many values a Memo remembers at the same time.
const Most = 20_000

// Memo remembers values by key. The zero Memo is empty and ready.
type Memo[K comparable, V any] struct {
	mu   sync.Mutex
	kept map[K]kept[V]
}

type kept[V any] struct {
	value V
	until time.Time
}

// Find gives what is remembered of the key.
func (m *Memo[K, V]) Find(key K, now time.Time) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.kept[key]
	return k.value, ok && now.Before(k.until)
}

// Put remembers a value until a time. When there are too many, those whose time is over go, and
// then, if need be, all: they are found out again.
func (m *Memo[K, V]) Put(key K, value V, now, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) >= Most {
		for key, k := range m.kept {
			if !now.Before(k.until) {
				delete(m.kept, key)
			}
		}
	}
	if m.kept == nil || len(m.kept) >= Most {
		m.kept = map[K]kept[V]{}
	}
	m.kept[key] = kept[V]{value, until}
}
