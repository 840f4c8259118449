package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// A runID names a run: an id runs at most once for each broker.
type runID struct {
	broker int
	id     protocol.ID
}

// A run is one call of the handler. The loop starts it and forgets it when it
// has returned; what it says on the way goes through the inbox.
type run struct {
	runID
	inbox   *inbox
	ctx     runContext
	headers replyHeaders
	told    atomic.Bool // its progress is in the inbox already
	sending sync.Mutex  // one part at a time
	taken   chan error  // has room for one: what became of that part; nil before the first
	parts   [][]byte    // of a run without a worker, for its end
	request Request

	// What call calls.
	handler Handler
	handIn  func(notice)

	// The loop's own.
	fence   workercore.Fence
	service string
	over    time.Duration // when its context ends, or has ended
	ignored bool          // it was reported for not having returned since
}

func (r *run) progress() {
	if !r.told.Swap(true) {
		r.inbox.put(notice{run: r})
	}
}

// sendPart hands one part to the loop and waits until there is room for another.
func (r *run) sendPart(frames [][]byte) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	switch {
	case r.ctx.Err() != nil:
		return context.Cause(&r.ctx)
	case r.inbox == nil: // no worker runs it
		r.parts = append(r.parts, frames...)
		return nil
	}
	if r.taken == nil {
		r.taken = make(chan error, 1)
	}
	r.inbox.put(notice{run: r, part: true, result: workercore.Result{Frames: frames}})
	select {
	case err := <-r.taken:
		return err
	case <-r.ctx.Done():
		return context.Cause(&r.ctx)
	}
}

// call calls the handler and hands in what became of it, also when it panics
// or ends its goroutine. It is the body of the run's goroutine.
func (r *run) call() {
	n := notice{run: r, returned: true}
	defer func() {
		n.result.Meta = r.headers.appendTo(n.result.Meta)
		n.result.Expired = r.ctx.expired()
		r.handIn(n)
	}()
	defer func() {
		if !n.completed {
			n.panicked, n.stack = "panic: handler ended its goroutine", debug.Stack()
			if v := recover(); v != nil {
				n.panicked = fmt.Sprint("panic: ", v)
			}
			n.result = failed(n.panicked, "")
		}
	}()
	frames, err := r.handler.Handle(&r.ctx, &r.request)
	n.result, n.completed = result(frames, err), true
	if n.result.Code == protocol.HandedBack && r.sentParts() { // something was done
		hold := n.result.Hold
		n.result = result(nil, Retry(err))
		n.result.Hold = hold
	}
}

// sentParts reports whether a part of the reply was handed to the loop.
func (r *run) sentParts() bool {
	r.sending.Lock()
	defer r.sending.Unlock()
	return r.taken != nil || len(r.parts) > 0
}

// result turns what a handler returned into what the broker is told.
func result(frames [][]byte, err error) workercore.Result {
	if err == nil {
		return workercore.Result{Code: protocol.OK, Frames: frames}
	}
	var retry *retryError
	if errors.As(err, &retry) {
		r := failed(err.Error(), "")
		r.Code = protocol.Retry
		return r
	}
	var back *handBackError
	if errors.As(err, &back) {
		return workercore.Result{Code: protocol.HandedBack, Hold: back.hold}
	}
	var reject *RejectError
	if errors.As(err, &reject) {
		return failed(reject.Message, reject.Code)
	}
	return failed(err.Error(), "")
}

func failed(text, code string) workercore.Result {
	m := protocol.ErrorMeta(text)
	if code != "" {
		m = m.Append(protocol.MetaErrorCode, code)
	}
	return workercore.Result{Code: protocol.Failed, Meta: m}
}
