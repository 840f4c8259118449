package core

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A foe throws anything at a core that Parse would let through: messages out
// of order, of wrong links, with foreign fences, from workers that change
// their sockets. It checks the invariants after each step, and that no client
// instance ever hears two different outcomes of one id.
type foe struct {
	t     testing.TB
	pick  func(n int) int
	core  *Core
	cfg   Config
	now   time.Duration
	seqs  [4]uint32
	links [4]uint32
	sent  [4]uint32
	heard map[string]string
	steps []string
	lent  [][]byte
	large bool // bodies that are not copied
}

func newFoe(t testing.TB, pick func(int) int) *foe {
	cfg := testConfig()
	cfg.MaxQueue, cfg.MaxIDs, cfg.MaxServices, cfg.MaxDead, cfg.ReplayBytes = 5, 12, 2, 2, 30
	cfg.MaxDeadBytes = 1 << 20
	if pick(2) == 0 {
		cfg.Lease = 3 * time.Second
	}
	large := pick(3) == 0
	if large {
		cfg.MaxDeadBytes = 2 * LentMax // one, of two
		cfg.ReplayBytes, cfg.MaxMessage, cfg.MaxQueueBytes = cfg.ReplayBytes*LentMax/5, 1<<20, 1<<30
	}
	return &foe{large: large, t: t, pick: pick, cfg: cfg, core: New(cfg, 0), heard: map[string]string{}}
}

func (f *foe) step() {
	var out []Output
	switch f.pick(12) {
	case 0, 1, 2:
		out = f.ask()
	case 3, 4, 5, 6, 7:
		out = f.work()
	case 8:
		out = f.operate()
	case 9:
		if f.pick(8) == 0 {
			gap := time.Duration(f.pick(8)) * time.Second
			f.now += gap
			f.log("stopped %v", gap)
			out = f.core.Stopped(f.now, gap, f.now, nil)
		}
	default:
		f.now += time.Duration(f.pick(30)) * 50 * time.Millisecond
		f.log("tick %v", f.now)
		out = f.core.Tick(f.now, nil)
	}
	for _, b := range f.core.Spent() { // outputs have no use of it either
		clear(b)
	}
	f.take(out)
	f.overwrite()
	for _, d := range f.core.DeadLetters() {
		if body := fmt.Sprintf("%s", d.Body); strings.Trim(body, "["+name(d.ID)+"]") != "" {
			f.t.Fatalf("dead letter %s has the body %q", name(d.ID), body[:20])
		}
	}
	if err := f.core.Check(); err != nil {
		f.t.Fatalf("%v\nafter:\n%s", err, f.story())
	}
}

// operate is what happens seldom: a connection ends, an operator acts.
func (f *foe) operate() (out []Output) {
	switch f.pick(5) {
	case 4:
		w := Withdrawal{Service: string(rune('a' + f.pick(3)))}
		f.log("operator cancels all of %s", w.Service)
		for done := false; !done; {
			out, done = f.core.WithdrawSome(f.now, &w, out)
		}
		if open, _ := f.core.Requests(f.now, Query{Service: w.Service}); len(open) > 0 || w.More {
			f.t.Fatalf("%d requests of %s are open after %d were cancelled\n%s", len(open), w.Service, w.Ended, f.story())
		}
	case 0:
		on, name := f.pick(2) == 0, string(rune('a'+f.pick(3)))
		f.log("pause %s: %t", name, on)
		out, _ = f.core.Pause(f.now, name, on, nil)
	case 1:
		id := f.id()
		f.log("operator cancels %s", name(id))
		out, _ = f.core.Withdraw(f.now, id, nil)
		f.core.Find(f.now, f.id())
	default:
		out = f.core.Disconnected(f.now, Peer{}, nil)
		f.log("disconnected")
	}
	return out
}

func (f *foe) log(format string, args ...any) {
	f.steps = append(f.steps, fmt.Sprintf(format, args...))
}

func (f *foe) story() (s string) {
	for _, line := range f.steps[max(0, len(f.steps)-60):] {
		s += line + "\n"
	}
	return s
}

func (f *foe) id() protocol.ID { return id(string(rune('A' + f.pick(6)))) }

func (f *foe) ask() []Output {
	m := protocol.Message{Command: protocol.Request, ID: f.id(), Number: uint32(1 + f.pick(3)), RemainingMS: uint32(f.pick(8000)),
		Instance: uint64(1 + f.pick(3)), Epoch: uint64(f.pick(3)), InterestMS: uint32(f.pick(3) * 1000), Code: protocol.Code(f.pick(3))}
	m.Service = []byte{byte('a' + f.pick(3))}
	m.Body = [][]byte{[]byte(name(m.ID))}
	if f.large {
		m.Body[0] = bytes.Repeat(m.Body[0], LentMax)
	}
	for _, flag := range []protocol.Flags{protocol.AtMostOnce, protocol.MaybeSent, protocol.NoWait, protocol.CanTakeMore, protocol.Finish, protocol.Partial} {
		m.Flags = m.Flags.With(flag, f.pick(4) == 0)
	}
	switch f.pick(10) {
	case 0, 1:
		m.Command, m.Body, m.Service = protocol.Cancel, nil, nil
	case 2:
		m.Command, m.Body, m.Service, m.Stream = protocol.Credit, nil, nil, protocol.Stream{Run: 1, Part: 1, Grant: 4}
	default:
		if m.Flags.Has(protocol.Partial) {
			m.Stream.Grant = 4
		}
	}
	f.log("client %d %v %s try %d flags %b", m.Instance, m.Command, name(m.ID), m.Number, m.Flags)
	from := Peer{ID: fmt.Appendf(nil, "c%d", m.Instance)}
	f.lend(&m, from.ID)
	return f.core.Client(f.now, from, &m, nil)
}

func (f *foe) work() []Output {
	n := f.pick(3)
	from := Peer{ID: fmt.Appendf(nil, "w%d", n)}
	if f.pick(12) == 0 {
		from.ID = fmt.Appendf(nil, "w%d", f.pick(3)) // speaks on another's socket
	}
	m := protocol.Message{Command: []protocol.Command{protocol.Ready, protocol.Heartbeat, protocol.Heartbeat, protocol.Reply, protocol.Reply,
		protocol.Reply, protocol.Progress, protocol.Disconnect}[f.pick(8)], ID: f.id(), Number: uint32(1 + f.pick(4)), Epoch: uint64(1 + f.pick(2)),
		Credit: uint32(f.pick(4)), Instance: uint64(n + 1), Flags: protocol.Last}
	if m.Command == protocol.Ready {
		f.links[n]++
		f.seqs[n], f.sent[n] = 0, 0
		m.Services = [][]byte{{byte('a' + f.pick(3))}, {byte('a' + f.pick(3))}}
	}
	f.seqs[n]++
	m.Link, m.Seq, m.Ack = f.links[n], f.seqs[n], f.sent[n]
	switch f.pick(12) {
	case 0:
		m.Seq += uint32(f.pick(3))
	case 1:
		m.Link += uint32(f.pick(2))
	case 2:
		m.Ack += uint32(f.pick(3))
	case 3:
		m.Flags |= protocol.CtxCancelled | protocol.Started
	case 4:
		m.Flags |= protocol.Draining
	}
	m.Link = max(m.Link, 1)
	m.Code = []protocol.Code{protocol.OK, protocol.OK, protocol.Failed, protocol.Timeout, protocol.Retry, protocol.HandedBack, protocol.Gone, protocol.Expired}[f.pick(8)]
	m.Body = [][]byte{[]byte("reply")}
	if f.large {
		m.Body[0] = bytes.Repeat([]byte(name(m.ID)), LentMax)
	}
	if m.Command != protocol.Reply && m.Command != protocol.Progress {
		m.ID, m.Number, m.Body, m.Code = protocol.ID{}, 0, nil, 0
		f.list(&m, n)
	} else if r := f.core.requests[m.ID]; r != nil && r.run != nil && f.pick(3) > 0 {
		m.Number, m.Epoch = r.run.attempt, r.run.epoch
	}
	if m.Command == protocol.Reply && f.pick(3) == 0 {
		m.Code, m.Flags, m.Stream = protocol.OK, m.Flags|protocol.Partial, protocol.Stream{Run: 1, Part: 1}
	}
	if n == 2 { // speaks MDP
		from.Dialect, from.Port, m.Instance, m.Entries = protocol.MDP02, protocol.FrontPort, 0, nil
		m.Link, m.Seq, m.Ack, m.Stream, m.Credit = 0, 0, 0, protocol.Stream{}, 1
		if m.Command == protocol.Ready {
			m.Services = m.Services[:1]
		}
		if m.Command == protocol.Reply {
			m.Code = protocol.OK
		}
	}
	f.log("worker %d %v %s/%d/%d %v link %d seq %d ack %d credit %d list %v", n, m.Command, name(m.ID), m.Number, m.Epoch, m.Code, m.Link, m.Seq, m.Ack, m.Credit, m.Entries)
	f.lend(&m, from.ID)
	return f.core.Worker(f.now, from, &m, nil)
}

// lend notes the slices that are the caller's again after the step.
func (f *foe) lend(m *protocol.Message, peer []byte) {
	m.Meta = protocol.Meta(nil).Append(protocol.MetaErrorText, name(m.ID))
	f.lent = append(f.lent, peer, m.Service, m.Meta)
	f.lent = append(append(f.lent, m.Body...), m.Services...)
}

// overwrite puts something else where a core has no business any more.
func (f *foe) overwrite() {
	for _, b := range f.lent {
		for i := range b {
			if len(b) < LentMax {
				b[i] = '!'
			}
		}
	}
	f.lent = f.lent[:0]
}

// list fills in a list that is right, wrong or both.
func (f *foe) list(m *protocol.Message, n int) {
	if w := f.core.workers[uint64(n+1)]; w != nil && f.pick(4) > 0 {
		for r := w.runs.head; r != nil; r = r.home.next {
			m.Entries = append(m.Entries, protocol.Entry{ID: r.id, Attempt: r.run.attempt, Epoch: r.run.epoch,
				State: protocol.State(1 + f.pick(3)), RemainingMS: 3000})
		}
	}
	for range f.pick(3) {
		e := protocol.Entry{ID: f.id(), Attempt: uint32(1 + f.pick(4)), Epoch: uint64(1 + f.pick(2)), State: protocol.State(1 + f.pick(5)),
			RemainingMS: uint32(f.pick(5000)), Flags: []protocol.Flags{0, protocol.AtMostOnce, protocol.CtxCancelled}[f.pick(3)]}
		if m.Command != protocol.Ready {
			e.State = min(e.State, protocol.Finished)
		}
		m.Entries = append(m.Entries, e)
	}
}

// take plays the peers: some sends fail, and outcomes are compared.
func (f *foe) take(out []Output) {
	for i := 0; i < len(out); i++ {
		o := out[i]
		if o.Kind != Send {
			continue
		}
		if f.pick(20) == 0 {
			out = f.core.Undeliverable(f.now, o.Side, o.To, &o.Msg, f.pick(2) == 0, out)
			continue
		}
		if o.Side == Front && string(o.To.ID) != fmt.Sprintf("c%d", o.Msg.Instance) && o.To.Dialect == protocol.PRV1 {
			f.t.Fatalf("%v for client %d goes to %q\n%s", o.Msg.Command, o.Msg.Instance, o.To.ID, f.story())
		}
		if o.Side == Back {
			if body := fmt.Sprintf("%s", o.Msg.Body); o.Msg.Command == protocol.Request && !o.Msg.Flags.Has(protocol.ReplayOnly) && strings.Trim(body, "["+name(o.Msg.ID)+"]") != "" {
				f.t.Fatalf("%s is handed out with the body %s\n%s", name(o.Msg.ID), body, f.story())
			}
			if n := o.To.ID[1] - '0'; o.Msg.Link == f.links[n] && o.Msg.Seq > f.sent[n] && f.pick(10) > 0 {
				f.sent[n] = o.Msg.Seq
			}
			continue
		}
		if !o.Msg.Flags.Has(protocol.Partial) {
			f.outcome(&o)
		}
	}
}

// outcome: what is recorded under an id repeats itself; only the body of a
// reply may have gone, and refusals are not recorded.
func (f *foe) outcome(o *Output) {
	m := &o.Msg
	if m.Command != protocol.Reply || m.Attempt == 0 || m.Code == protocol.Gone {
		return
	}
	key := fmt.Sprintf("%v of client %d", m.ID, m.Instance)
	got := fmt.Sprintf("%v attempt %d %q", m.Code, m.Attempt, m.Body)
	f.log("  %s: %s", key, got)
	if fin := f.core.done.find(m.ID); fin == nil {
		f.t.Fatalf("an outcome that is not remembered: %s %s\n%s", key, got, f.story())
	}
}

// TestHostile plays seeded schedules of hostile messages.
func TestHostile(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		f := newFoe(t, rng.IntN)
		for range 400 {
			f.step()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzCore lets the fuzzer choose the schedule.
func FuzzCore(f *testing.F) {
	f.Add([]byte("privateer"))
	f.Add([]byte{3, 0, 0, 0, 3, 1, 0, 0, 0, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		at := 0
		foe := newFoe(t, func(n int) int {
			if at == len(data) {
				return 0
			}
			at++
			return int(data[at-1]) % n
		})
		for steps := 0; at < len(data) && steps < 500; steps++ {
			foe.step()
		}
	})
}
