package worker_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/simtest"
	"github.com/privateer-mq/privateer/worker"
)

type sumOf struct{ A, B int }

func sum(_ context.Context, in sumOf) (int, error) {
	if in.A < 0 {
		return 0, worker.Reject("NEGATIVE", "A is under 0")
	}
	return in.A + in.B, nil
}

// gobs is a codec other than JSON.
type gobs struct{}

func (gobs) ContentType() string { return "application/x-gob" }
func (gobs) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}
func (gobs) Unmarshal(data []byte, v any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

func TestHandle(t *testing.T) {
	never := func(context.Context, sumOf) (int, error) { t.Error("called"); return 0, nil }
	for _, c := range []struct {
		name, body string
		headers    []worker.Header
		h          worker.Handler
		code, text string
	}{
		{name: "good", body: `{"A":1,"B":2}`, h: worker.Handle(sum)},
		{name: "said to be JSON", body: `{"A":1,"B":2}`, headers: []worker.Header{{"content-type", "application/json"}}, h: worker.Handle(sum, nil, worker.WithCodec(nil))},
		{name: "own error", body: `{"A":-1}`, h: worker.Handle(sum), code: "NEGATIVE", text: "A is under 0"},
		{name: "garbage", body: `{"A":`, h: worker.Handle(never), code: "BAD_REQUEST", text: "cannot be decoded as worker_test.sumOf"},
		{name: "another form", body: `{}`, headers: []worker.Header{{"content-type", "text/csv"}}, h: worker.Handle(never), code: "BAD_REQUEST", text: "text/csv"},
		{name: "another codec", body: `{}`, h: worker.Handle(never, worker.WithCodec(gobs{})), code: "BAD_REQUEST", text: "cannot be decoded"},
		{name: "no JSON", body: `{}`, h: worker.Handle(func(context.Context, sumOf) (chan int, error) { return nil, nil }), code: "BAD_REPLY", text: "type chan int cannot be encoded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("sum")
			r.Frames, r.Headers = [][]byte{[]byte(c.body)}, c.headers
			frames, err := c.h.Handle(t.Context(), r)
			if c.code != "" {
				rejected(t, err, c.code, c.text)
			} else if err != nil || len(frames) != 1 || string(frames[0]) != "3" {
				t.Errorf("%q, %v", frames, err)
			}
		})
	}
	for _, frames := range [][][]byte{nil, {[]byte("{}"), []byte("{}")}} {
		r := request("sum")
		r.Frames = frames
		_, err := worker.Handle(never).Handle(t.Context(), r)
		rejected(t, err, "BAD_REQUEST", "frames; a value is one")
	}
}

// The request is at hand, the one that a middleware has made as well.
func TestRequestFrom(t *testing.T) {
	var got *worker.Request
	h := worker.Handle(func(ctx context.Context, _ int) (int, error) { got = worker.RequestFrom(ctx); return 0, nil })
	r := request("s")
	r.Frames = [][]byte{[]byte("1")}
	if _, err := h.Handle(t.Context(), r); err != nil || got != r {
		t.Errorf("%v, %v", got, err)
	}
	if worker.RequestFrom(t.Context()) != nil {
		t.Error("a request from nowhere")
	}
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "requestfrom")
		unpack := func(h worker.Handler) worker.Handler {
			return worker.FramesFunc(func(ctx context.Context, r *worker.Request) ([][]byte, error) {
				other := *r
				other.Frames = [][]byte{r.Frames[0][1:]}
				return h.Handle(ctx, &other)
			})
		}
		w := start(t, config(t, "requestfrom"), worker.Chain(worker.Handle(func(ctx context.Context, in int) (string, error) {
			worker.Progress(ctx)
			r := worker.RequestFrom(ctx)
			return fmt.Sprintf("%d %s %d", in, r.Body(), r.ID[0]), nil
		}), unpack))
		b.welcome()
		b.request(7, "x42")
		m := b.reply(7, protocol.OK)
		headers := ""
		for k, v := range m.Meta.Headers() {
			headers += k + ": " + v
		}
		if string(m.Body[0]) != `"42 42 7"` || headers != "content-type: application/json" {
			t.Errorf("reply %q with %s", m.Body, headers)
		}
		w.leave(b)
	})
}

func count(_ context.Context, to int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range to {
			if i == 3 {
				yield(0, worker.Reject("THREE", "no more than three"))
				return
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

// What a stream sends, as a client that takes no parts gets it: joined.
func TestHandleStream(t *testing.T) {
	channels := func(context.Context, int) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) { _ = yield(1, nil) && yield(make(chan int), nil) }
	}
	endless := func(ctx context.Context, _ int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for time.Sleep(time.Second / 10); yield(1, nil); time.Sleep(time.Second / 10) {
			}
		}
	}
	big := func(context.Context, int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) { yield(strings.Repeat("x", 2000), nil) }
	}
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "stream")
		var m worker.Mux
		m.Route("count", worker.HandleStream(count))
		m.Route("channels", worker.HandleStream(channels))
		m.Route("none", worker.HandleStream(func(context.Context, int) iter.Seq2[int, error] { return nil }))
		m.Route("endless", worker.HandleStream(endless), worker.Timeout(250*time.Millisecond))
		m.Route("big", worker.HandleStream(big))
		w := start(t, worker.Config{Brokers: []string{"mem://stream"}, Logger: logTo(t)}, &m)
		b.welcome()
		for i, c := range []struct{ service, in, code, text string }{
			{service: "count", in: "2"},
			{service: "count", in: "0"},
			{service: "count", in: "5", code: "THREE", text: "no more"},
			{service: "count", in: "x", code: "BAD_REQUEST", text: "cannot be decoded as int"},
			{service: "channels", in: "1", code: "BAD_REPLY", text: "chan int cannot be encoded"},
			{service: "none", in: "1", code: "BAD_REPLY", text: "no sequence"},
			{service: "endless", in: "1", code: "TIMEOUT", text: "after 250ms"},
			{service: "big", in: "1", code: "BAD_REPLY", text: "part 1: "},
		} {
			id := byte(i + 1)
			b.hand(&protocol.Message{ID: protocol.ID{id}, Number: 1, RemainingMS: 30_000, Service: []byte(c.service), Body: [][]byte{[]byte(c.in)}})
			if c.code == "" {
				m := b.reply(id, protocol.OK)
				want := []string{"0", "1"}
				if c.in == "0" {
					want = nil
				}
				var got []string
				for _, f := range m.Body {
					got = append(got, string(f))
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s %s: %q, want %q", c.service, c.in, got, want)
				}
				continue
			}
			m := b.reply(id, protocol.Failed)
			if code, text := m.Meta.Get(protocol.MetaErrorCode), m.Meta.Get(protocol.MetaErrorText); code != c.code || !strings.Contains(text, c.text) {
				t.Errorf("%s %s: %q %q, want %q %q", c.service, c.in, code, text, c.code, c.text)
			}
		}
		w.leave(b)
	})
}

// A stream heeds the end of its request's context, and says why.
func TestHandleStreamWithdrawn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "streamwithdrawn")
		ended := make(chan error, 1)
		h := worker.HandleStream(func(ctx context.Context, _ int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for yield(1, nil) {
					time.Sleep(time.Second)
				}
			}
		})
		w := start(t, config(t, "streamwithdrawn"), worker.FramesFunc(func(ctx context.Context, r *worker.Request) ([][]byte, error) {
			frames, err := h.Handle(ctx, r)
			ended <- err
			return frames, err
		}))
		b.welcome()
		b.request(1, "1")
		b.expect(protocol.Progress)
		b.send(&protocol.Message{Command: protocol.Cancel, ID: protocol.ID{1}, Number: 1, Epoch: 1, Code: protocol.ReasonWithdrawn})
		if err := <-ended; !errors.Is(err, worker.ErrWithdrawn) {
			t.Errorf("ended with %v", err)
		}
		_ = w.end()
	})
}

// In the simulator typed handlers are called as they are by a worker.
func TestTypedInSimulator(t *testing.T) {
	h := worker.Handle(func(ctx context.Context, in int) (string, error) {
		if r := worker.RequestFrom(ctx); r == nil || r.Service != "double" {
			return "", errors.New("no request in the context")
		}
		return fmt.Sprint(2 * in), nil
	})
	var m worker.Mux
	m.Route("double", h, worker.Timeout(time.Hour), worker.Limit(4))
	m.Route("count", worker.HandleStream(count))
	ok := 0
	simtest.Run(t, simtest.Config{Handler: &m, Seeds: 10, Requests: func(i int) simtest.Request {
		if i%2 == 0 {
			return simtest.Request{Service: "count", Body: []byte("2")}
		}
		return simtest.Request{Service: "double", Body: []byte("21")}
	}, Check: func(history []simtest.Outcome) error {
		for i, o := range history {
			want := `["\"42\""]`
			if i%2 == 0 {
				want = `["0" "1"]`
			}
			switch got := fmt.Sprintf("%q", o.Frames); {
			case o.Code == protocol.Failed:
				return o.Errorf("it failed")
			case o.Code == protocol.OK && got != want:
				return o.Errorf("reply %s, want %s", got, want)
			case o.Code == protocol.OK:
				ok++
			}
		}
		return nil
	}})
	if ok < 50 {
		t.Errorf("%d replies in 10 seeds", ok)
	}
}
