package worker

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// Whatever ends a context, its handler is told what it was. From 16 on the causes
// are the session's own, and those that have no name are none.
func TestEveryCauseIsAnError(t *testing.T) {
	for c := workercore.CauseWithdrawn; c < 32; c++ {
		named := c <= workercore.CauseSuperseded || c >= workercore.CauseTaskTimeout && !strings.HasPrefix(c.String(), "CODE(")
		if named && causes[c] == nil {
			t.Errorf("a context that ends for %v has no error", c)
		}
	}
}

// The loop may look at the clock just before the deadline and take the result
// just after it: the run says itself that its context had ended.
func TestRunSaysThatItsDeadlineHasPassed(t *testing.T) {
	for cause, expired := range map[error]bool{ErrExpired: true, ErrWithdrawn: false} {
		r := &run{inbox: &inbox{wake: func() {}}}
		r.ctx = runContext{run: r, deadline: time.Now().Add(time.Hour)}
		r.ctx.end(cause)
		r.request.run, r.handIn = r, r.inbox.put
		r.handler = HandlerFunc(func(ctx context.Context, _ *Request) ([]byte, error) { return nil, ctx.Err() })
		r.call()
		got := r.inbox.take(nil)
		if len(got) != 1 || got[0].result.Code != protocol.Failed || got[0].result.Expired != expired {
			t.Errorf("%v: %+v", cause, got)
		}
	}
}

// Progress is cheap to say: until the loop has looked, once is enough.
func TestProgressIsTakenOnce(t *testing.T) {
	r := &run{inbox: &inbox{wake: func() {}}}
	request := &Request{run: r}
	request.Progress()
	Progress(context.WithValue(t.Context(), runKey{}, r))
	if got := r.inbox.take(nil); len(got) != 1 {
		t.Errorf("%d notices", len(got))
	}
	r.told.Store(false)
	request.Progress()
	if got := r.inbox.take(nil); len(got) != 1 {
		t.Errorf("%d notices after the loop has looked", len(got))
	}
	new(Request).Progress() // made by nobody: does nothing
	Progress(t.Context())
	new(Request).SetReplyHeader("k", "v")
}

// However long the texts of an error are, its reply fits.
func TestErrorTextsAreCut(t *testing.T) {
	r := failed(strings.Repeat("ü", 10_000), strings.Repeat("c", 1000))
	text, code := r.Meta.Get(protocol.MetaErrorText), r.Meta.Get(protocol.MetaErrorCode)
	if len(text) <= protocol.ErrorTextBytesMax-utf8.UTFMax || len(text) > protocol.ErrorTextBytesMax || !strings.HasSuffix(text, "…") || !utf8.ValidString(text) || len(code) != protocol.ErrorCodeBytesMax {
		t.Errorf("a text of %d bytes, a code of %d", len(text), len(code))
	}
}
