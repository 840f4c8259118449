package main

import (
	"crypto/rand"
	"sync"
	"time"
)

// Results keeps thumbnails for a while, and no more than fit: the oldest go first.
type results struct {
	bytesMax int
	keep     time.Duration

	mu    sync.Mutex
	bytes int
	order []string // ids, the oldest first
	sets  map[string][][]byte
}

// put keeps the thumbnails of one image, and returns the id to get them by,
// which nobody can guess.
func (r *results) put(thumbs [][]byte) string {
	id := rand.Text()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sets[id], r.order = thumbs, append(r.order, id)
	for _, t := range thumbs {
		r.bytes += len(t)
	}
	for r.bytes > r.bytesMax {
		r.forget()
	}
	time.AfterFunc(r.keep, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for r.sets[id] != nil { // this one, and what is older
			r.forget()
		}
	})
	return id
}

// forget forgets the oldest.
func (r *results) forget() {
	for _, t := range r.sets[r.order[0]] {
		r.bytes -= len(t)
	}
	delete(r.sets, r.order[0])
	r.order = r.order[1:]
}

// get returns nil if the thumbnail is not kept. It must not be changed.
func (r *results) get(id string, n int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if set := r.sets[id]; n >= 0 && n < len(set) {
		return set[n]
	}
	return nil
}
