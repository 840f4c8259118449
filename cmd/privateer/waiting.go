package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// sayWaitingAfter is how long a request waits in silence for a worker that nobody
// has: until then one may come back.
const sayWaitingAfter = time.Second

// A waitNote says of a request which nobody serves that it waits for that, once: a
// mistyped name would else be found out at the deadline.
type waitNote struct {
	out   io.Writer
	after time.Duration

	mu    sync.Mutex
	last  client.Accepted
	timer *time.Timer // that says it, or has
}

// accepted takes what a broker says; it is the client's hook.
func (w *waitNote) accepted(a client.Accepted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.ID != w.last.ID {
		w.stop()
	}
	w.last = a
	switch {
	case a.Workers > 0:
		w.stop()
	case w.timer == nil:
		w.timer = time.AfterFunc(w.after, func() { w.say(a) })
	}
}

// say says it, unless something has become of the request since.
func (w *waitNote) say(a client.Accepted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil || w.last.ID != a.ID {
		return
	}
	meant := ""
	if a.Nearest != "" {
		meant = fmt.Sprintf("; %s is served", oneLine(a.Nearest))
	}
	fmt.Fprintf(w.out, "waiting id=%s: no live worker serves %s%s\n", a.ID, oneLine(a.Service), meant)
}

// done: the request has its outcome.
func (w *waitNote) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop()
}

func (w *waitNote) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = nil
}
