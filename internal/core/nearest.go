package core

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What is served that is most like a name that is not: a request for a mistyped name
// waits for a worker that never comes, and its client is told what it may have meant.

const (
	// nearestEach is how often a name is looked for at most. It takes up to a
	// millisecond, with a thousand served names, and whoever asks for names that
	// nobody serves must not keep the others waiting: they are told none.
	nearestEach = 10 * time.Millisecond
	// comparedBytes: of longer names none is like another.
	comparedBytes = 64
)

// served is what a client is told of who serves what it asks for. A worker that has
// the request serves it, also while it drains; who was told that nobody does is told then.
func (c *Core) served(r *request) *protocol.Served {
	s := r.svc
	v := &protocol.Served{Workers: uint32(s.live)}
	if s.live == 0 && r.run != nil {
		v.Workers = 1
	}
	r.unserved = v.Workers == 0
	if v.Workers == 0 && c.now >= c.nearestAt {
		c.nearestAt = c.now + nearestEach
		v.Nearest = c.nearest(s.name)
	}
	return v
}

// nearest is the served name that is most like name, and of several the first in
// order; nil if none is like it.
func (c *Core) nearest(name string) []byte {
	if len(name) > comparedBytes {
		return nil
	}
	var best *service
	edits := 1
	if len(name) > 5 {
		edits = 2
	}
	for _, s := range c.services { // any order: the answer does not depend on it
		if s.live == 0 || s.name == name || len(s.name) > comparedBytes {
			continue
		}
		for edits > 1 && alike(name, s.name, edits-1) {
			best, edits = nil, edits-1 // what was found is less like it
		}
		if (best == nil || s.name < best.name) && alike(name, s.name, edits) {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	return best.wire
}

// alike reports whether a becomes b by so many edits: a byte more, less or another,
// or two that have changed places.
func alike(a, b string, edits int) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	switch {
	case edits == 0 || a == "" || b == "":
		return len(a)+len(b) <= edits
	case len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] && alike(a[2:], b[2:], edits-1):
		return true
	}
	return alike(a[1:], b[1:], edits-1) || alike(a[1:], b, edits-1) || alike(a, b[1:], edits-1)
}
