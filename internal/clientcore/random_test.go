package clientcore

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// TestRandom drives a machine through random networks and brokers, and checks
// after every step that it is sound, and at the end what it promised: one
// outcome for each call, in time; not-started only if nothing ran; an
// at-most-once request at one broker only.
func TestRandom(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		w := &world{t: t, rand: rand.New(rand.NewPCG(uint64(seed), 1)), seed: seed}
		w.play()
		if t.Failed() {
			return
		}
	}
}

// A world is brokers that answer as they like, but never lie, and a network
// that loses what it likes.
type world struct {
	t       *testing.T
	seed    int
	rand    *rand.Rand
	m       *Machine
	now     time.Duration
	brokers int
	up      [BrokersMax]bool
	epoch   [BrokersMax]uint64
	links   map[LinkID]int
	flying  []flying
	specs   map[uint64]Call
	began   map[uint64]time.Duration
	ended   map[uint64]bool
	ran     map[protocol.ID]bool // or may still run
	where   map[protocol.ID]map[int]bool
	sentAt  map[protocol.ID]time.Duration
	paused  bool
	quiet   bool // nothing is lost any more
	turning bool // a turn has begun, and out is what it wants so far
	out     []Output
}

// flying is a message on its way to the client.
type flying struct {
	at   time.Duration
	link LinkID
	msg  *protocol.Message
}

func (w *world) play() {
	w.brokers = 1 + w.rand.IntN(3)
	face := Face(w.rand.IntN(2))
	w.m = New(Config{Face: face, Brokers: w.brokers, Instance: 1, CallsMax: 8})
	w.links, w.specs, w.began, w.ended = map[LinkID]int{}, map[uint64]Call{}, map[uint64]time.Duration{}, map[uint64]bool{}
	w.ran, w.where, w.sentAt = map[protocol.ID]bool{}, map[protocol.ID]map[int]bool{}, map[protocol.ID]time.Duration{}
	for i := range w.brokers {
		w.up[i], w.epoch[i] = w.rand.IntN(4) > 0, uint64(i+1)
	}
	for range 300 {
		w.step()
		w.check()
	}
	w.quiet = true
	for i := 0; i < 100_000 && !w.m.Settled(); i++ {
		w.next(time.Hour)
		w.check()
	}
	w.end(true)
	for key := range w.specs {
		if !w.ended[key] {
			w.fail("call %d hangs", key)
		}
	}
}

func (w *world) begin() {
	if !w.turning {
		w.turning = true
		w.out = w.m.Turn(w.now, w.out)
	}
}

// turn does something in the turn that has begun, or in a new one, which may go
// on with whatever comes at the same moment.
func (w *world) turn(do func(out []Output) []Output) {
	w.begin()
	if w.out = do(w.out); w.rand.IntN(2) == 0 {
		w.end(w.rand.IntN(4) > 0)
	}
}

// end ends the turn, and does what it wants.
func (w *world) end(empty bool) {
	if !w.turning {
		return
	}
	w.do(w.m.End(empty, w.out))
	w.out, w.turning = w.out[:0], false
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("seed %d at %v: %s", w.seed, w.now, fmt.Sprintf(format, args...))
}

func (w *world) check() {
	if err := w.m.Check(); err != nil {
		w.fail("%v", err)
	}
}

func (w *world) step() {
	b := w.rand.IntN(w.brokers)
	switch n := w.rand.IntN(100); {
	case n < 20:
		key := uint64(len(w.specs) + 1)
		c := Call{Key: key, ID: protocol.ID{1, 15: byte(key), 14: byte(key >> 8)}, Service: "s",
			Timeout: time.Duration(1+w.rand.IntN(4000)) * time.Millisecond, Retries: w.rand.IntN(4),
			Deadline: w.now + time.Duration(1+w.rand.IntN(40_000))*time.Millisecond, Jitter: w.rand.Uint64(),
			AtMostOnce: w.rand.IntN(3) == 0, FromCaller: w.rand.IntN(8) == 0, NoWait: w.rand.IntN(4) == 0, PingOnly: w.rand.IntN(10) == 0}
		w.specs[key], w.began[key] = c, w.now
		w.turn(func(out []Output) []Output { return w.m.Start(c, out) })
	case n < 25:
		w.turn(func(out []Output) []Output { return w.m.Withdraw(uint64(1+w.rand.IntN(len(w.specs)+1)), out) })
	case n < 30:
		w.up[b] = !w.up[b]
		if w.up[b] && w.rand.IntN(2) == 0 {
			w.epoch[b] += 100
		}
		w.flap(b, w.up[b])
	case n < 33:
		if id := w.anyLink(); id != 0 {
			w.turn(func(out []Output) []Output { return w.m.Garbage(id, out) })
		}
	case n < 35:
		if id := w.anyLink(); id != 0 {
			delete(w.links, id)
			w.turn(func(out []Output) []Output { return w.m.OpenFailed(id, out) })
		}
	case n < 37: // the process stands still
		w.paused = true
		w.end(true)
		w.now += time.Duration(w.rand.IntN(20_000)) * time.Millisecond
		w.begin()
		w.end(true)
	default:
		w.next(time.Duration(w.rand.IntN(3000)) * time.Millisecond)
	}
}

func (w *world) flap(b int, up bool) {
	for id := LinkID(1); id <= w.m.linkLast; id++ {
		if broker, ok := w.links[id]; !ok || broker != b {
			continue
		}
		if up {
			w.turn(func(out []Output) []Output { return w.m.Connected(id, out) })
			continue
		}
		w.lose(id)
		w.turn(func(out []Output) []Output { return w.m.Disconnected(id, out) })
	}
}

// lose drops what flies to link.
func (w *world) lose(id LinkID) {
	kept := w.flying[:0]
	for _, f := range w.flying {
		if f.link != id {
			kept = append(kept, f)
		}
	}
	w.flying = kept
}

func (w *world) anyLink() LinkID {
	for id := w.m.linkLast; id > 0; id-- {
		if _, ok := w.links[id]; ok && w.rand.IntN(2) == 0 {
			return id
		}
	}
	return 0
}

// next lets time go by to whatever comes first: a message, a timer, or limit.
func (w *world) next(limit time.Duration) {
	w.end(true)
	at, first := w.now+limit, -1
	for i, f := range w.flying {
		if f.at < at || f.at == at && first < 0 {
			at, first = f.at, i
		}
	}
	if due, ok := w.m.Deadline(); ok && due < at {
		w.now = max(w.now, due)
		w.begin()
		w.end(true)
		return
	}
	w.now = max(w.now, at)
	if first >= 0 {
		f := w.flying[first]
		w.flying = append(w.flying[:first], w.flying[first+1:]...)
		w.turn(func(out []Output) []Output { return w.m.Receive(f.link, f.msg, out) })
	}
}

func (w *world) do(out []Output) {
	for i := 0; i < len(out); i++ {
		switch o := out[i]; o.Kind {
		case Open:
			w.links[o.Link] = o.Broker
		case Close:
			delete(w.links, o.Link)
			w.lose(o.Link)
		case Send:
			if !w.m.Wanted(o) {
				continue
			}
			ok := w.up[o.Broker] && w.rand.IntN(20) > 0
			out = w.m.Sent(o, ok, out)
			if ok {
				w.sent(o)
			}
		case Complete:
			w.complete(o.Outcome)
		}
	}
}

// sent is what a broker does with a message.
func (w *world) sent(o Output) {
	msg := o.Message
	answer := &protocol.Message{Command: protocol.Reply, ID: msg.ID, Number: msg.Number, Epoch: w.epoch[o.Broker], Attempt: 1}
	certainty := protocol.NotStarted
	switch msg.Command {
	case protocol.Ping:
		answer.Command = protocol.Pong
	case protocol.Cancel:
		answer.Code = protocol.Cancelled
		if w.ran[msg.ID] {
			certainty = protocol.MaybeStarted
		}
	case protocol.Request:
		certainty = w.request(o, answer)
	}
	if answer.Code != 0 {
		answer.Flags = answer.Flags.WithCertainty(certainty)
	}
	if w.rand.IntN(5) == 0 && !w.quiet || answer.Command == protocol.Reply && answer.Code == 0 {
		return // lost, or never answered
	}
	delay := time.Duration(w.rand.IntN(500)) * time.Millisecond
	if w.rand.IntN(4) == 0 {
		delay *= 20
	}
	w.flying = append(w.flying, flying{w.now + delay, o.Link, answer})
	if w.m.cfg.Face == Dealer && w.rand.IntN(5) == 0 {
		w.flying = append(w.flying, flying{w.now + 2*delay, o.Link, answer})
	}
}

func (w *world) request(o Output, answer *protocol.Message) protocol.Certainty {
	msg := o.Message
	id := msg.ID
	if msg.Flags.Has(protocol.MaybeSent) != (msg.Number > 1 || w.specs[o.Key].FromCaller) {
		w.fail("try %d: MAYBE_SENT is wrong", msg.Number)
	}
	if last, ok := w.sentAt[id]; ok && w.now-last < 0 {
		w.fail("time goes back")
	}
	w.sentAt[id] = w.now
	if w.where[id] == nil {
		w.where[id] = map[int]bool{}
	}
	switch code := protocol.Code(1 + w.rand.IntN(13)); {
	case code == protocol.Overloaded || code == protocol.DrainingNow || code == protocol.NoService:
		answer.Code, answer.RetryAfterMS = code, uint32(w.rand.IntN(1000))
		return protocol.NotStarted
	case w.rand.IntN(3) == 0: // it does not reach the broker at all
		w.where[id][o.Broker], w.ran[id] = true, true
		return protocol.MaybeStarted
	case code == protocol.Denied || code == protocol.Invalid:
		answer.Code = code
		return protocol.NotStarted
	default:
		w.where[id][o.Broker], w.ran[id] = true, true
		answer.Code = code
		if code == protocol.OK || code == protocol.Failed {
			return protocol.Ran
		}
		return protocol.MaybeStarted
	}
}

func (w *world) complete(o *Outcome) {
	c, known := w.specs[o.Key]
	switch {
	case !known || w.ended[o.Key] || o.ID != c.ID:
		w.fail("call %d: an outcome too many", o.Key)
	case o.Certainty == protocol.NotStarted && w.ran[c.ID]:
		w.fail("call %d: %v not-started, but it may have run", o.Key, o.Code)
	case o.Certainty == protocol.NotStarted && c.FromCaller && !c.PingOnly:
		w.fail("call %d: %v not-started, but its id is the caller's", o.Key, o.Code)
	case o.Certainty == protocol.CertaintyNone || o.Code == 0:
		w.fail("call %d: empty outcome", o.Key)
	case w.now > c.Deadline+HeartbeatDefault+VerdictGrace && !w.paused:
		w.fail("call %d: %v came %v after its deadline", o.Key, o.Code, w.now-c.Deadline)
	case c.AtMostOnce && len(w.where[c.ID]) > 1:
		w.fail("call %d: at-most-once, sent to %d brokers that may run it", o.Key, len(w.where[c.ID]))
	}
	w.ended[o.Key] = true
}
