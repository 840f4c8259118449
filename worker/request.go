package worker

import (
	"context"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// A Request is what a Handler is given. Its byte slices belong to the handler.
type Request struct {
	ID         protocol.ID
	Service    string
	Frames     [][]byte
	Headers    []Header
	Attempt    int       // hand-overs of this request so far, this one included
	MaybeRerun bool      // an earlier attempt may have run
	Deadline   time.Time // when the outcome is EXPIRED; ctx ends then

	// Waited is for how long the request had waited when its handler was
	// started: since the broker queued it last, and then here for a free handler.
	// In steps of 1 ms, without what it was under way; 0 from a broker that does
	// not say. Waits before an earlier attempt, and for a retry, are not in it.
	Waited time.Duration
	// Trace is the W3C traceparent that the client gave, as it gave it: it may
	// be malformed. Empty if it gave none. Package tracing reads it.
	Trace string

	run *run // nil in a Request that no worker made
}

// take fills in r's request.
func (r *run) take(x *workercore.Run, deadline time.Time) {
	q := &r.request
	*q = Request{
		ID: x.ID, Service: x.Service, Frames: x.Frames, Attempt: int(x.Attempt),
		MaybeRerun: x.MaybeRerun, Deadline: deadline,
		Waited: x.Waited, Trace: x.Meta.Get(protocol.MetaTrace), run: r,
	}
	for k, v := range x.Meta.Headers() {
		q.Headers = append(q.Headers, Header{k, v})
	}
}

// A Header is one user header of a request or reply.
type Header struct{ Key, Value string }

// Body is the first frame, nil if there is none.
func (r *Request) Body() []byte {
	if len(r.Frames) == 0 {
		return nil
	}
	return r.Frames[0]
}

// Progress tells the broker that the handler gets on, which renews the
// attempt's lease, up to the deadline. It never blocks and is safe for
// concurrent use; call it as often as is convenient.
func (r *Request) Progress() {
	if r.run != nil {
		r.run.progress()
	}
}

// SendPart sends one part of the reply, before the handler returns its end. A
// client that takes parts (client.Pipeline.Stream) gets it at once, and gets all
// of them in order; for any other they are put before the end, all together
// within the broker's limit of one message. A request that is run again starts
// its reply again: the client is told.
//
// It blocks until the part is on its way, which a client that does not take its
// parts can put off, and returns the cause of the handler's context if that ends
// first. A part over the broker's limit is refused with another error, and the
// reply goes on without it. Each part counts as progress. The frames must not be
// changed afterwards. Safe for concurrent use.
func (r *Request) SendPart(frames ...[]byte) error {
	if r.run == nil {
		return errNoRun
	}
	return r.run.sendPart(frames)
}

// SetReplyHeader adds a user header to the reply, or replaces the one with the
// same key. It goes out with a successful reply and with an error alike. All
// headers together must fit in 8 KiB, or the outcome is FAILED. Safe for
// concurrent use; without effect once the handler has returned.
func (r *Request) SetReplyHeader(key, value string) {
	if r.run != nil {
		r.run.headers.set(key, value)
	}
}

// Progress is Request.Progress for code that has only the handler's context.
// It does nothing with any other context.
func Progress(ctx context.Context) {
	if r, ok := ctx.Value(runKey{}).(*run); ok && r != nil {
		r.progress()
	}
}

// replyHeaders are what a handler has set, in the order of first setting.
type replyHeaders struct {
	mu   sync.Mutex
	list []Header
}

func (h *replyHeaders) set(key, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.list {
		if h.list[i].Key == key {
			h.list[i].Value = value
			return
		}
	}
	h.list = append(h.list, Header{key, value})
}

func (h *replyHeaders) appendTo(m protocol.Meta) protocol.Meta {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.list {
		m = m.AppendHeader(v.Key, v.Value)
	}
	return m
}
