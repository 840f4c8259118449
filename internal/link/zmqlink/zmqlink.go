// Package zmqlink is the link over ZeroMQ, for tcp:// and ipc:// endpoints. It
// is the only importer of github.com/pebbe/zmq4.
//
// A ZeroMQ socket belongs to one goroutine: a host, its links, their monitors
// and its poll set are all used by the host's owner alone. The one exception
// is the sending end of the wake-up, which has a lock of its own.
package zmqlink

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/pool"
)

const (
	// sliceMax bounds one poll. An interrupted poll starts anew, so a long one
	// could outlast its deadline for as long as signals keep coming.
	sliceMax = 100 * time.Millisecond
	// socketsMax is libzmq's own upper bound. A monitored link takes three
	// sockets; peers of a Router take none.
	socketsMax = 65535
	// termGrace is how long Close waits beyond the longest Linger for libzmq's
	// threads to end.
	termGrace = time.Second
)

const interrupted = zmq4.Errno(syscall.EINTR)

// host implements link.Host. Everything but wake belongs to the owner.
type host struct {
	context *zmq4.Context
	wake    *wake
	sockets []*socket
	closed  bool

	waiter      *waiter
	waiterStale bool // sockets changed since it was made
	monitors    map[*zmq4.Socket]*socket

	pool  pool.Pool // of large frames
	loans loans     // of them, to libzmq

	monitored  uint64        // monitors ever made, to name their endpoints
	lingerLong time.Duration // the longest Linger of any link so far
}

// Version returns the version of libzmq in use at run time, such as "4.3.4".
// Safe for concurrent use.
func Version() string {
	major, minor, patch := zmq4.Version()
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

// New returns a host over ZeroMQ with a context of its own. Its links take
// tcp:// and ipc:// endpoints.
func New() (link.Host, error) {
	context, err := zmq4.NewContext()
	if err != nil {
		return nil, fmt.Errorf("start ZeroMQ: %w", err)
	}
	// libzmq's wrapper would repeat an interrupted poll with its full timeout.
	context.SetRetryAfterEINTR(false)
	if err := errors.Join(context.SetBlocky(false), context.SetMaxSockets(socketsMax)); err != nil {
		return nil, errors.Join(fmt.Errorf("set up ZeroMQ: %w", err), context.Term())
	}
	w, err := newWake()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up ZeroMQ's wake-up: %w", err), context.Term())
	}
	return &host{context: context, wake: w, waiterStale: true, monitors: map[*zmq4.Socket]*socket{}}, nil
}

// Wake implements link.Host.
func (h *host) Wake() { h.wake.ring() }

// Recycle implements link.Host.
func (h *host) Recycle(frames [][]byte) {
	for _, f := range frames {
		h.loans.recycle(&h.pool, f)
	}
}

// Wait implements link.Host. Durations are rounded up to whole milliseconds.
// It also takes note of which monitors have events, so Connected and
// Disconnected come from a Recv after a Wait.
func (h *host) Wait(d time.Duration) error {
	if h.closed {
		return link.ErrClosed
	}
	if h.waiterStale {
		w, err := newWaiter(h)
		if err != nil {
			return fmt.Errorf("wait for ZeroMQ: %w", err)
		}
		h.waiter, h.waiterStale = w, false
	}
	h.loans.settle(&h.pool)
	end := time.Now().Add(max(d, 0))
	remaining := time.Until(end)
	for {
		if h.unfinished() {
			remaining = 0 // look for events and wake-ups, but do not wait
		}
		ready, err := h.waiter.wait(pollSlice(remaining))
		if err != nil && zmq4.AsErrno(err) != interrupted {
			return fmt.Errorf("wait for ZeroMQ: %w", err)
		}
		if remaining <= 0 || ready {
			return nil
		}
		if remaining = time.Until(end); remaining <= 0 {
			return nil
		}
	}
}

// pollSlice is how long one poll may take of what remains: whole milliseconds,
// rounded up, since a poll shorter than asked for would be repeated in a tight
// loop, and never negative, which would mean for ever.
func pollSlice(remaining time.Duration) time.Duration {
	return ceilMillis(min(max(remaining, 0), sliceMax))
}

func ceilMillis(d time.Duration) time.Duration {
	if whole := d.Truncate(time.Millisecond); whole != d {
		return whole + time.Millisecond
	}
	return d
}

// unfinished reports whether a link has something to read that a poll does not
// see, or may not.
func (h *host) unfinished() bool {
	for _, s := range h.sockets {
		if s.unfinished || len(s.events) > 0 {
			return true
		}
	}
	return false
}

// Close implements link.Host. Should libzmq not end within the longest Linger
// and a second, it returns an error and leaves libzmq to end by itself.
func (h *host) Close() error {
	if h.closed {
		return nil
	}
	h.closed = true
	var errs []error
	for len(h.sockets) > 0 {
		errs = append(errs, h.sockets[0].Close())
	}
	errs = append(errs, h.wake.close())

	// No socket is left that could read the setting. An interrupted Term must
	// be repeated, or the context is never freed.
	h.context.SetRetryAfterEINTR(true)
	ended := make(chan error, 1)
	go func() { ended <- h.context.Term() }()
	guard := time.NewTimer(h.lingerLong + termGrace)
	defer guard.Stop()
	select {
	case err := <-ended:
		errs = append(errs, err)
		h.loans.close(&h.pool)
	case <-guard.C:
		h.loans.leave(ended)
		errs = append(errs, fmt.Errorf("ZeroMQ did not end within %v", h.lingerLong+termGrace))
	}
	return errors.Join(errs...)
}
