package zmtplink

import (
	"math/rand/v2"
	"time"
)

// idleMax bounds the endpoints of which a host remembers that they were of no use.
const idleMax = 1024

// An idle is an endpoint that accepts connections and makes nothing of them, as a
// proxy without a backend does. Who opens link after link, because none has had an
// answer, must not ask it as often as links are opened: its waits go on doubling
// from one link to the next.
type idle struct {
	wait  time.Duration // after the next failure
	until time.Time     // nothing connects before
}

// A backOff is the waits of one link between its attempts to connect.
type backOff struct {
	host        *host
	endpoint    string
	least, most time.Duration
	wait        time.Duration
}

// begin is how long the first attempt waits.
func (b *backOff) begin() time.Duration {
	b.wait = b.least
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	known, ok := b.host.idle[b.endpoint]
	if !ok {
		return 0
	}
	b.wait = min(max(known.wait, b.least), b.most)
	return time.Until(known.until)
}

// next is how long the attempt after this one waits. accepted: there was a
// connection; useful: something came of it.
func (b *backOff) next(accepted, useful bool) time.Duration {
	if useful {
		b.wait = b.least
	}
	// Between half and all of it, so that peers of a broker that restarts do
	// not come all at once.
	pause := b.wait/2 + rand.N(b.wait/2+1)
	b.wait = min(2*b.wait, b.most)
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	switch {
	case useful:
		delete(b.host.idle, b.endpoint)
	case accepted && (b.host.idle[b.endpoint] != idle{} || len(b.host.idle) < idleMax):
		b.host.idle[b.endpoint] = idle{b.wait, time.Now().Add(pause)}
	}
	return pause
}
