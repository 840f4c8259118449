package clientcore

import (
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// The package decides; it does nothing. What it may import is a closed list.
func TestPure(t *testing.T) {
	allowed := []string{"cmp", "errors", "fmt", "slices", "time", "github.com/privateer-mq/privateer/protocol"}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if path := strings.Trim(i.Path.Value, `"`); !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
		inspect(t, set, file)
	}
}

// send does what a loop with links that always work does, and returns all outputs.
func send(m *Machine, out []Output) []Output {
	for i := 0; i < len(out); i++ {
		if out[i].Kind == Send && m.Wanted(out[i]) {
			out = m.Sent(out[i], true, out)
		}
	}
	return out
}

func outcomeOf(out []Output) *Outcome {
	for _, o := range out {
		if o.Kind == Complete {
			return o.Outcome
		}
	}
	return nil
}

func aCall(key byte) Call {
	return Call{Key: uint64(key), ID: protocol.ID{15: key}, Service: "s", Timeout: time.Second, Retries: 3, Deadline: time.Hour}
}

func refusal(key byte, try uint32, code protocol.Code) *protocol.Message {
	return &protocol.Message{Command: protocol.Reply, Code: code, Flags: protocol.Flags(0).WithCertainty(protocol.NotStarted),
		ID: protocol.ID{15: key}, Number: try}
}

// More tries than are remembered one by one leave a doubt that no later answer
// can take away.
func TestOpenTriesAreBounded(t *testing.T) {
	for _, tries := range []uint32{openMax, openMax + 1} {
		m := New(Config{Face: Dealer, Brokers: 1, Instance: 1, CallsMax: 1})
		now := time.Duration(0)
		send(m, m.Start(aCall(1), m.Turn(now, nil)))
		for range tries - 1 {
			send(m, m.Disconnected(1, m.Turn(now, nil)))
			now, _ = m.Deadline()
			send(m, m.End(true, m.Turn(now, nil)))
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		var o *Outcome
		for try := tries; try > 1; try-- { // old answers; the first one decides
			send(m, m.Receive(1, refusal(1, try-1, protocol.Overloaded), nil))
		}
		o = outcomeOf(m.Receive(1, refusal(1, tries, protocol.Denied), nil))
		want := protocol.NotStarted
		if tries > openMax {
			want = protocol.MaybeStarted
		}
		if o == nil || o.Certainty != want || o.Tries != tries {
			t.Errorf("%d tries: got %+v, want %v", tries, o, want)
		}
	}
}

func TestBadCalls(t *testing.T) {
	for text, change := range map[string]func(*Call){
		"id is all zero":    func(c *Call) { c.ID = protocol.ID{} },
		"timeout":           func(c *Call) { c.Timeout = time.Microsecond },
		"retries":           func(c *Call) { c.Retries = -1 },
		"name is empty":     func(c *Call) { c.Service = "" },
		"longer than 255":   func(c *Call) { c.Service = strings.Repeat("x", 256) },
		"not UTF-8":         func(c *Call) { c.Service = "\xff" },
		"control character": func(c *Call) { c.Service = "\t" },
		"1025 body frames":  func(c *Call) { c.Body = make([][]byte, 1025) },
		"headers take 8193": func(c *Call) { c.Meta = make([]byte, 8193) },
		"unknown priority":  func(c *Call) { c.Priority = 3 },
	} {
		m := New(Config{Brokers: 1, CallsMax: 1})
		c := aCall(1)
		change(&c)
		o := outcomeOf(m.Start(c, nil))
		if o == nil || o.Code != protocol.Invalid || o.Certainty != protocol.NotStarted || !strings.Contains(o.Text, text) {
			t.Errorf("%s: got %+v", text, o)
		}
		if !m.Settled() {
			t.Errorf("%s: something is left", text)
		}
	}
}

func TestBounds(t *testing.T) {
	m := New(Config{Brokers: 1, CallsMax: 2})
	send(m, m.Start(aCall(1), nil))
	twin := aCall(2)
	twin.ID = protocol.ID{15: 1}
	if o := outcomeOf(m.Start(twin, nil)); o == nil || o.Code != protocol.Invalid {
		t.Errorf("the same id twice: %+v", o)
	}
	send(m, m.Start(aCall(2), nil))
	if o := outcomeOf(m.Start(aCall(3), nil)); o == nil || o.Code != protocol.Overloaded || o.Certainty != protocol.NotStarted {
		t.Errorf("one too many: %+v", o)
	}
	late := aCall(4)
	late.Deadline = 0
	m.Receive(1, refusal(1, 1, protocol.Denied), nil)
	if o := outcomeOf(m.Start(late, nil)); o == nil || o.Code != protocol.Expired {
		t.Errorf("too late: %+v", o)
	}
	// CANCELs that nobody answers pile up to twice the calls, and no further.
	full := 0
	for key := byte(10); key < 20; key++ {
		send(m, m.Start(aCall(key), nil))
		for _, o := range send(m, m.Withdraw(uint64(key), nil)) {
			if o.Kind == Drop && o.Reason == CancelsFull {
				full++
			}
		}
		if c := m.calls[uint64(key)]; c != nil {
			m.complete(c, Outcome{}, nil)
		}
		if len(m.withdrawals) > 4 {
			t.Fatalf("%d CANCELs", len(m.withdrawals))
		}
	}
	if full == 0 {
		t.Error("the bound was never reached")
	}
}

// A foreign client's reply is not taken, not even with the right id.
func TestForeignInstance(t *testing.T) {
	m := New(Config{Face: Dealer, Brokers: 1, Instance: 1, CallsMax: 1})
	send(m, m.Start(aCall(1), nil))
	r := refusal(1, 1, protocol.Denied)
	r.Instance = 2
	out := m.Receive(1, r, nil)
	if len(out) != 1 || out[0].Kind != Drop || out[0].Reason != Foreign {
		t.Fatalf("got %+v", out)
	}
	r.Instance = 1
	if o := outcomeOf(m.Receive(1, r, nil)); o == nil || o.Code != protocol.Denied {
		t.Fatalf("got %+v", o)
	}
}

func TestNames(t *testing.T) {
	for r := Reason(0); r < ReasonsEnd; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
	for e := EventKind(0); e <= Paused; e++ {
		if e.String() == "" {
			t.Errorf("event %d has no name", e)
		}
	}
}

// The heap fires in order of time, and of arming within one moment.
func TestTimers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var h timers
	list := make([]timer, 200)
	for i := range 5000 {
		x := &list[r.IntN(len(list))]
		if i%3 == 0 {
			h.disarm(x)
		} else {
			h.arm(x, time.Duration(r.IntN(50)))
		}
	}
	last := timer{}
	for len(h.heap) > 0 {
		x := h.pop()
		if x.due < last.due || x.due == last.due && x.order < last.order {
			t.Fatalf("%v/%d after %v/%d", x.due, x.order, last.due, last.order)
		}
		last = *x
	}
}

// One call through a machine with 1,000 others open.
func BenchmarkCall(b *testing.B) {
	for name, face := range map[string]Face{"REQ": Req, "DEALER": Dealer} {
		b.Run(name, func(b *testing.B) {
			m := New(Config{Face: face, Brokers: 1, Instance: 1, CallsMax: 2000})
			var out []Output
			id := func(n uint64) protocol.ID {
				return protocol.ID{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 15: 1}
			}
			one := func(n uint64) LinkID {
				c := aCall(1)
				c.Key, c.ID = n, id(n)
				out = send(m, m.Start(c, m.Turn(0, out[:0])))
				return out[len(out)-1].Link
			}
			for n := range uint64(1000) {
				one(n + 1)
			}
			answer := refusal(1, 1, protocol.OK)
			b.ReportAllocs()
			for n := uint64(2000); b.Loop(); n++ {
				l := one(n)
				answer.ID = id(n)
				if out = m.Receive(l, answer, out[:0]); outcomeOf(out) == nil {
					b.Fatal("no outcome")
				}
			}
		})
	}
}

// While a link is not found empty no time-out fires, since the answer may have
// come; but not for ever.
func TestUnreadAnswers(t *testing.T) {
	open := func() *Machine {
		m := New(Config{Face: Dealer, Brokers: 1, Instance: 1, CallsMax: 1})
		c := aCall(1)
		c.Retries, c.Deadline = 0, 2*time.Second
		send(m, m.End(true, m.Start(c, m.Turn(0, nil))))
		return m
	}
	m := open()
	for now := time.Second; now <= 4*time.Second; now += time.Second / 2 {
		if out := m.End(false, m.Turn(now, nil)); outcomeOf(out) != nil {
			t.Fatalf("at %v, unread: %+v", now, outcomeOf(out))
		}
	}
	ok := refusal(1, 1, protocol.OK)
	ok.Flags = protocol.Flags(0).WithCertainty(protocol.Ran)
	if o := outcomeOf(m.End(true, m.Receive(1, ok, m.Turn(4*time.Second, nil)))); o == nil || o.Code != protocol.OK {
		t.Errorf("the answer that was unread: %+v", o)
	}
	// It may be cut off behind its limit meanwhile: it ends with the next look.
	m = open()
	m.Disconnected(1, m.Turn(3300*time.Millisecond, nil))
	m.End(false, nil)
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	if o := outcomeOf(m.End(true, m.Turn(3301*time.Millisecond, nil))); o == nil || o.Code != protocol.Unknown {
		t.Errorf("cut off behind its limit: %+v", o)
	}
	m = open()
	var out []Output
	turns := 0
	for ; outcomeOf(out) == nil && turns < 1000; turns++ {
		due, _ := m.Deadline()
		out = send(m, m.End(false, m.Turn(max(m.now, due), nil)))
	}
	if o := outcomeOf(out); o == nil || turns < unreadMax {
		t.Errorf("after %d turns with more to read: %+v", turns, o)
	}
}
