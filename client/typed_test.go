package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// ok answers q with one frame and, if contentType is not empty, that header.
func (f *fake) ok(q *asked, contentType string, body ...string) {
	m := &protocol.Message{Command: protocol.Reply, Code: protocol.OK, Flags: protocol.Flags(0).WithCertainty(protocol.Ran),
		ID: q.msg.ID, Number: q.msg.Number, Epoch: f.epoch, Attempt: 3}
	for _, b := range body {
		m.Body = append(m.Body, []byte(b))
	}
	if contentType != "" {
		m.Meta = m.Meta.AppendHeader("content-type", contentType)
	}
	f.send(q, m)
}

func TestAsk(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) { f.ok(q, "application/json; charset=utf-8", `["a","b"]`) })
		got, err := Ask[map[string]int, []string](context.Background(), do, "s", map[string]int{"n": 1},
			nil, WithCodec(nil), WithRequest(nil), WithRequest(func(r *Request) { r.Priority = Low }))
		if err != nil || fmt.Sprint(got) != "[a b]" {
			t.Fatalf("%v, %v", got, err)
		}
		m := f.messages(protocol.Request)[0].msg
		headers := ""
		for k, v := range m.Meta.Headers() {
			headers += k + ": " + v + ";"
		}
		if string(m.Body[0]) != `{"n":1}` || headers != "content-type: application/json;" || m.Code != protocol.PriorityLow {
			t.Errorf("sent %q with %s, priority %v", m.Body, headers, m.Code)
		}
	})
}

// A reply of no use says that the handler ran, and what there was.
func TestAskReply(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		startFake(t, endpoint, 7, func(f *fake, q *asked) {
			switch string(q.msg.Service) {
			case "garbage":
				f.ok(q, "", "3x")
			case "parts":
				f.ok(q, "", "1", "2", "3")
			case "csv":
				f.ok(q, "text/csv", "1")
			case "none":
				f.ok(q, "")
			}
		})
		for service, want := range map[string]string{
			"garbage": `OK (ran): the reply is not what was asked for: "3x" cannot be decoded as int: invalid character`,
			"parts":   "not what was asked for: 3 frames; a value is one",
			"csv":     `it is sent as "text/csv", and application/json is read here`,
			"none":    "0 frames",
		} {
			v, err := Ask[int, int](context.Background(), do, service, 1)
			e := details(t, err, ErrReply, protocol.Ran)
			if v != 0 || e.Code != protocol.OK || e.Attempt != 3 || e.Tries != 1 || e.ID.IsZero() || e.Broker != endpoint ||
				Retryable(err) || NotStarted(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %d, %+v: %v", service, v, e, err)
			}
		}
	})
}

// What cannot be sent is not, and another outcome comes as it is.
func TestAskInvalid(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) { f.reply(q, protocol.Denied, protocol.NotStarted) })
		_, err := Ask[chan int, int](context.Background(), do, "s", nil)
		certain(t, err, ErrInvalid, protocol.NotStarted)
		if want := "INVALID (not-started): the body of the request: a value of type chan int cannot be encoded: json: "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v", err)
		}
		_, err = Ask[int, int](context.Background(), nil, "s", 1)
		certain(t, err, ErrInvalid, protocol.NotStarted)
		for _, err := range AskStream[int, int](context.Background(), nil, "s", 1) {
			certain(t, err, ErrInvalid, protocol.NotStarted)
		}
		if n := len(f.messages(protocol.Request)); n != 0 {
			t.Errorf("%d were sent", n)
		}
		_, err = Ask[int, int](context.Background(), do, "s", 1)
		certain(t, err, ErrDenied, protocol.NotStarted)
	})
}

// A run of a reply in parts: its number, the parts, and its end if it has one.
type madeRun struct {
	number uint64
	parts  []string
	end    []string // nil: none
}

// streams answers a request with these runs, one after the other.
func streams(runs ...madeRun) func(*fake, *asked) {
	return func(f *fake, q *asked) {
		if q.msg.Command == protocol.Cancel {
			f.reply(q, protocol.Cancelled, protocol.MaybeStarted)
		}
		if q.msg.Command != protocol.Request {
			return
		}
		for i, r := range runs {
			f.after(time.Duration(i)*100*time.Millisecond, func() {
				m := protocol.Message{Command: protocol.Reply, Code: protocol.OK, Flags: protocol.Partial.WithCertainty(protocol.Ran),
					ID: q.msg.ID, Number: q.msg.Number, Epoch: f.epoch, Attempt: uint32(i + 1)}
				for n, body := range r.parts {
					part := m
					part.Stream, part.Body = protocol.Stream{Run: r.number, Part: uint32(n + 1)}, [][]byte{[]byte(body)}
					f.send(q, &part)
				}
				if r.end == nil {
					return
				}
				m.Flags = protocol.Flags(0).WithCertainty(protocol.Ran)
				m.Stream = protocol.Stream{Run: r.number, Part: uint32(len(r.parts))}
				for _, body := range r.end {
					m.Body = append(m.Body, []byte(body))
				}
				f.send(q, &m)
			})
		}
	}
}

func TestAskStream(t *testing.T) {
	none := []string{}
	restart := OnRestart(func() {})
	for _, c := range []struct {
		name      string
		runs      []madeRun
		opts      []Option
		want      string
		is        error
		certainty protocol.Certainty
	}{
		{name: "parts", runs: []madeRun{{1, []string{"1", "2"}, none}}, want: "[1 2]"},
		{name: "no parts", runs: []madeRun{{1, nil, none}}, want: "[]"},
		{name: "an empty end", runs: []madeRun{{1, []string{"1"}, []string{""}}}, want: "[1]"},
		{name: "an end with a value", runs: []madeRun{{1, []string{"1"}, []string{"2"}}}, want: "[1 2]"},
		{name: "one reply", runs: []madeRun{{1, nil, []string{"5"}}}, want: "[5]"},
		{name: "garbage", runs: []madeRun{{1, []string{"1", "x", "3"}, nil}}, want: "[1]", is: ErrReply, certainty: protocol.MaybeStarted},
		{name: "garbage at the end", runs: []madeRun{{1, []string{"1"}, []string{"x"}}}, want: "[1]", is: ErrReply, certainty: protocol.Ran},
		{name: "two frames at the end", runs: []madeRun{{1, []string{"1"}, []string{"2", "3"}}}, want: "[1]", is: ErrReply, certainty: protocol.Ran},
		{name: "begins again", runs: []madeRun{{1, []string{"1", "2"}, nil}, {2, []string{"1", "2", "3"}, nil}},
			want: "[1 2]", is: ErrRestarted, certainty: protocol.MaybeStarted},
		{name: "begins again, and has but an end", runs: []madeRun{{1, []string{"1"}, nil}, {2, nil, none}},
			want: "[1]", is: ErrRestarted, certainty: protocol.Ran},
		{name: "begins again as allowed", opts: []Option{restart}, runs: []madeRun{{1, []string{"1", "2"}, nil}, {2, []string{"1", "2", "3"}, none}},
			want: "[1 2 again 1 2 3]"},
		{name: "begins again twice", opts: []Option{restart}, runs: []madeRun{{1, []string{"1"}, nil}, {2, []string{"1"}, nil}, {3, []string{"1"}, none}},
			want: "[1 again 1 again 1]"},
		{name: "nil is no leave to go on", opts: []Option{OnRestart(nil)}, runs: []madeRun{{1, []string{"1"}, nil}, {2, []string{"1"}, nil}},
			want: "[1]", is: ErrRestarted, certainty: protocol.MaybeStarted},
	} {
		t.Run(c.name, func(t *testing.T) {
			pipeline(t, Config{}, streams(c.runs...), func(t *testing.T, f *fake, p *Pipeline) {
				got := []string{}
				opts := c.opts
				if len(opts) > 0 && strings.Contains(c.want, "again") {
					opts = []Option{OnRestart(func() { got = append(got, "again") })}
				}
				var last error
				for v, err := range AskStream[int, int](context.Background(), p, "s", 1, opts...) {
					if last != nil {
						t.Fatal("it goes on after an error")
					}
					if last = err; err == nil {
						got = append(got, fmt.Sprint(v))
					}
				}
				if fmt.Sprint(got) != c.want || !errors.Is(last, c.is) {
					t.Fatalf("got %v, %v; want %s, %v", got, last, c.want, c.is)
				}
				if c.is == nil {
					return
				}
				e := details(t, last, c.is, c.certainty)
				if Retryable(last) != errors.Is(c.is, ErrRestarted) || (e.Code == protocol.OK) != (c.certainty == protocol.Ran) {
					t.Errorf("got %+v", e)
				}
				time.Sleep(time.Second)
				// What had not come to its end is withdrawn.
				if n := len(f.messages(protocol.Cancel)); (n > 0) != (c.certainty == protocol.MaybeStarted) {
					t.Errorf("%d CANCELs", n)
				}
			})
		})
	}
}

// Parts that nobody has taken yet are no loss when the reply begins again.
func TestAskStreamRestartUnseen(t *testing.T) {
	runs := []madeRun{{1, []string{"1", "2"}, nil}, {2, []string{"1", "2"}, nil}, {3, []string{"1", "2"}, []string{}}}
	pipeline(t, Config{}, streams(runs...), func(t *testing.T, f *fake, p *Pipeline) {
		var got []int
		for v, err := range AskStream[int, int](context.Background(), p, "s", 1, WithRequest(func(r *Request) { r.Deadline = time.Minute })) {
			if errors.Is(err, ErrRestarted) {
				got = append(got, -1)
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, v); len(got) == 1 {
				time.Sleep(time.Second) // meanwhile it begins again twice
			}
		}
		if fmt.Sprint(got) != "[1 -1]" {
			t.Errorf("got %v", got)
		}
		if left := f.messages(protocol.Request)[0].msg.RemainingMS; left != 60_000 {
			t.Errorf("remaining %d", left)
		}
	})
}

// A sequence that is not ranged over sends nothing, and who breaks off withdraws.
func TestAskStreamBreak(t *testing.T) {
	pipeline(t, Config{}, streams(madeRun{1, []string{"1", "2"}, nil}), func(t *testing.T, f *fake, p *Pipeline) {
		seq := AskStream[int, int](context.Background(), p, "s", 1)
		time.Sleep(time.Second)
		if n := len(f.messages(protocol.Request)); n != 0 {
			t.Errorf("%d were sent before", n)
		}
		for range 2 {
			for v, err := range seq {
				if v != 1 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				break
			}
		}
		time.Sleep(time.Second)
		if n, m := len(f.messages(protocol.Request)), len(f.messages(protocol.Cancel)); n != 2 || m != 2 {
			t.Errorf("%d REQUESTs, %d CANCELs", n, m)
		}
	})
}
