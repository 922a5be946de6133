package rpc

import (
	"cmp"
	"slices"
	"sync"
)

// streamsMost of one source are open in one process at a time, so that a source which leaves streams behind costs the others nothing.
const streamsMost = 64

// streams are those open in this process, by source and in the order of their opening.
type streams struct {
	mu      sync.Mutex
	open    map[string][]*stream
	drained chan struct{}
	drain   sync.Once
}

// Drain ends all streams: what they have received is stored and acknowledged, then they end with DRAINING.
func (s *Dispatch) Drain() { s.streams.drain.Do(func() { close(s.streams.drained) }) }

// enter puts a stream in. When there are too many of its source, the oldest that does not write has to go.
func (s *streams) enter(st *stream) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := slices.BinarySearchFunc(s.open[st.source], st.opening, func(other *stream, opening int64) int { return cmp.Compare(other.opening, opening) })
	s.open[st.source] = slices.Insert(s.open[st.source], at, st)
	if len(s.open[st.source]) > streamsMost {
		idle := slices.IndexFunc(s.open[st.source], func(other *stream) bool { return !other.writes })
		s.evict(st.source, idle, idle+1)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if at := slices.Index(s.open[st.source], st); at >= 0 {
			s.remove(st.source, at, at+1)
		}
	}
}

// wrote tells the streams opened before the one that writes now to go.
func (s *streams) wrote(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.writes = true
	if at := slices.Index(s.open[st.source], st); at > 0 {
		s.evict(st.source, 0, at)
	}
}

func (s *streams) evict(source string, from, to int) {
	for _, st := range s.open[source][from:to] {
		close(st.evicted)
	}
	s.remove(source, from, to)
}

func (s *streams) remove(source string, from, to int) {
	if s.open[source] = slices.Delete(s.open[source], from, to); len(s.open[source]) == 0 {
		delete(s.open, source)
	}
}
