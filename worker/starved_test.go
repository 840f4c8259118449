package worker

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// A starved host has no file left for the second link.
type starved struct {
	link.Host
	tries int
	open  int // so many links can be opened
}

func (h *starved) Open(o link.Options) (link.Link, error) {
	if h.tries++; h.tries > h.open && h.tries < 5 {
		return nil, fmt.Errorf("open a socket: %w", syscall.EMFILE)
	}
	return h.Host.Open(o)
}

// Too many open files at the first socket to a broker is no wrong endpoint: the
// worker goes on with its other brokers, and tries again.
func TestTooManyFilesAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := New(Config{Brokers: []string{"mem://a", "mem://b"}}, HandlerFunc(func(context.Context, *Request) ([]byte, error) { return nil, nil }))
		if err != nil {
			t.Fatal(err)
		}
		h := &starved{Host: link.NewMemory(), open: 1}
		l := newLoop(w)
		l.host = h
		l.inbox.wakes(h.Wake, false)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		if err := l.run(ctx); err != nil || ctx.Err() == nil {
			t.Fatalf("it ended with %v", err)
		}
		if h.tries < 6 {
			t.Errorf("%d sockets were opened", h.tries)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}
