//go:build unix

package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// A load sends the files as requests, a window of them at a time, and keeps
// what became of each. It is safe for concurrent use.
type load struct {
	client *client.Client
	files  *files
	total  int
	window int

	mu       sync.Mutex
	sent     int
	done     int
	ok       int
	wrong    int
	lost     int
	faults   []string // the first few errors, in words
	took     []time.Duration
	answered map[string]time.Time // by request id
}

func newLoad(cl *client.Client, f *files, cfg Config) *load {
	return &load{client: cl, files: f, total: cfg.Requests, window: window(cfg),
		answered: make(map[string]time.Time)}
}

// run returns when every request has its outcome, or ctx ends.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range l.window {
		wg.Go(func() {
			for ctx.Err() == nil {
				body, ok := l.next()
				if !ok {
					return
				}
				l.one(ctx, body)
			}
		})
	}
	wg.Wait()
}

// next is the body of the next request.
func (l *load) next() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == l.total {
		return nil, false
	}
	body, err := l.files.read(l.sent)
	if err != nil {
		l.lost += l.total - l.sent
		l.sent = l.total
		l.note(err.Error())
		return nil, false
	}
	l.sent++
	return body, true
}

// one sends one request and judges its reply.
func (l *load) one(ctx context.Context, body []byte) {
	want := sha256.Sum256(body)
	start := time.Now()
	reply, err := l.client.Do(ctx, client.Request{Service: service, Body: body})
	now := time.Now()
	id := idOf(reply, err)
	digest, _, _ := strings.Cut(string(reply.Body()), " ")

	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.lost++
		l.note(id + ": " + err.Error())
	case digest != hex.EncodeToString(want[:]):
		l.wrong++
		l.note(id + ": wrong digest " + digest)
	default:
		l.ok++
	}
	l.took = append(l.took, now.Sub(start))
	l.answered[id] = now
	l.done++
}

// idOf is the request's id, which the client library made. (An id of our own
// would say that the request may have been sent before.)
func idOf(reply client.Reply, err error) string {
	var ce *client.Error
	if errors.As(err, &ce) {
		return ce.ID.String()
	}
	return reply.ID.String()
}

// note keeps the first few errors. l.mu is held.
func (l *load) note(s string) {
	if len(l.faults) < 5 {
		l.faults = append(l.faults, s)
	}
}

// progress is the number of requests that have their outcome.
func (l *load) progress() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// answeredAt is when a request had its outcome; ok is false while it has none.
func (l *load) answeredAt(id string) (at time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok = l.answered[id]
	return at, ok
}

// quantile is the time that the share q of the requests did not exceed.
func (l *load) quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.took) == 0 {
		return 0
	}
	slices.Sort(l.took)
	return l.took[int(q*float64(len(l.took)-1))]
}
