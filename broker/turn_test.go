package broker

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A rig is a broker's loop between ports that cost nothing: clients that ask
// when told to, and one worker that answers at once.
type rig struct {
	*loop
	front, back port
	asked       uint64
	answered    int
	notOK       int
	seq, sent   uint32
	credit      uint32
	in, out     protocol.Message
}

// A port lends what is put into its queue: its slots are used in turn.
type port struct {
	queue []link.Message
	slots [4 * rigWindow]struct {
		header [256]byte
		frames [3][]byte
	}
	next int
	put  func(peer []byte, frames [][]byte)
}

func (p *port) Recv(dst []link.Message, limit int) ([]link.Message, error) {
	n := min(limit, len(p.queue))
	dst = append(dst, p.queue[:n]...)
	p.queue = p.queue[:copy(p.queue, p.queue[n:])]
	return dst, nil
}

// lend puts a message with m's header into the queue.
func (p *port) lend(peer []byte, d protocol.Direction, m *protocol.Message) {
	slot := &p.slots[p.next%len(p.slots)]
	p.next++
	frames := slot.frames[:0]
	if d == protocol.FrontIn {
		frames = append(frames, rigEmpty)
	}
	frames = append(frames, protocol.AppendHeader(slot.header[:0], d, m))
	p.queue = append(p.queue, link.Message{Peer: peer, Frames: append(frames, m.Body...)})
}

func (p *port) Send(peer []byte, frames ...[]byte) error { p.put(peer, frames); return nil }
func (p *port) Put(peer []byte, frames ...[]byte)        { p.put(peer, frames) }
func (p *port) Flush(func(int, error))                   {}
func (p *port) Addr() string                             { return "" }
func (p *port) Close() error                             { return nil }

type noHost struct{ link.Host }

func (noHost) Recycle([][]byte) {}

const rigWindow = 64

var (
	rigBody    = make([]byte, 64)
	rigEmpty   = []byte{}
	rigClient  = []byte("client")
	rigWorker  = []byte("worker")
	rigService = []byte("s")
	rigReply   = [][]byte{rigBody}
)

func newRig() *rig {
	b := &Broker{cfg: Config{Admin: "on", ReplayWindow: time.Millisecond}.withDefaults()}
	if err := b.cfg.validate(); err != nil {
		panic(err)
	}
	b.metrics = newMetrics(b)
	r := &rig{credit: rigWindow}
	r.loop = &loop{b: b, cfg: &b.cfg, host: noHost{}, ports: [2]link.Link{&r.front, &r.back}, start: time.Now(), epoch: 7,
		drops: map[core.What]uint64{}, recorder: newRecorder(b.cfg.RecorderSteps)}
	r.decide()
	r.front.put, r.back.put = r.client, r.worker
	r.tell(protocol.Message{Command: protocol.Ready, Instance: 5, Credit: r.credit, Flags: protocol.Last, Services: [][]byte{rigService}})
	r.turn(r.now(), 0)
	r.tell(protocol.Message{Command: protocol.Heartbeat, Credit: r.credit})
	r.turn(r.now(), 0)
	return r
}

func (r *rig) tell(m protocol.Message) {
	r.seq++
	m.Link, m.Seq, m.Ack, m.Epoch = 1, r.seq, r.sent, 7
	r.out = m
	r.back.lend(rigWorker, protocol.BackIn, &r.out)
}

// worker answers what it is handed, from the bytes, as cheaply as it can.
func (r *rig) worker(_ []byte, frames [][]byte) {
	r.sent++
	h := frames[0]
	if protocol.Command(h[4]) != protocol.Request {
		return
	}
	m := protocol.Message{Command: protocol.Reply, Code: protocol.OK, Number: binary.BigEndian.Uint32(h[24:]), Body: rigReply}
	copy(m.ID[:], h[8:24])
	r.tell(m)
}

func (r *rig) client(_ []byte, frames [][]byte) {
	r.answered++
	if protocol.Code(frames[1][5]) != protocol.OK {
		r.notOK++
	}
}

// round asks for a window of requests and turns until they are answered.
func (r *rig) round() {
	for range rigWindow {
		r.asked++
		r.in = protocol.Message{Command: protocol.Request, Number: 1, Instance: 3, RemainingMS: 1000, Service: rigService, Body: rigReply}
		binary.BigEndian.PutUint64(r.in.ID[:], r.asked*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(r.in.ID[8:], r.asked)
		r.front.lend(rigClient, protocol.FrontIn, &r.in)
	}
	for want := r.answered + rigWindow; r.answered < want; {
		r.turn(r.now(), 0)
	}
}

// BenchmarkLoop is one whole request through the broker's loop, with metrics
// and recorder, but without sockets.
func BenchmarkLoop(b *testing.B) {
	r := newRig()
	b.ReportAllocs()
	for range b.N/rigWindow + 1 {
		r.round()
	}
	if r.notOK > 0 {
		b.Fatalf("%d of %d answers were not OK", r.notOK, r.answered)
	}
}

// A request allocates almost nothing, so that the garbage collector has almost
// nothing to do. The bound is what may grow with what is remembered: chunks,
// pages and maps.
func TestRequestsAllocateNothing(t *testing.T) {
	r := newRig()
	var each, bytes float64
	for range 8 { // until what is used again is there, and tables have grown
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		from := r.answered
		for range 500 {
			r.round()
		}
		runtime.ReadMemStats(&after)
		each = float64(after.Mallocs-before.Mallocs) / float64(r.answered-from)
		bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(r.answered-from)
		t.Logf("%.3f allocations and %.0f bytes a request", each, bytes)
		if each <= allocationsMost {
			break
		}
	}
	if each > allocationsMost || r.notOK > 0 {
		t.Fatalf("%.3f allocations and %.0f bytes a request, want at most %.2f; %d answers were not OK", each, bytes, allocationsMost, r.notOK)
	}
}

// A turn that had much to say does not keep its lists for ever.
func TestLongListsAreGivenBack(t *testing.T) {
	r := newRig().loop
	for _, n := range []int{listsKept, 4 * listsKept} {
		r.out = make([]core.Output, n)
		for i := range r.out {
			r.out[i].Kind = core.Drop
		}
		r.sent[0] = make([]int, 0, n)
		r.deliver()
		if kept := n <= listsKept; len(r.out) != 0 || (cap(r.out) > 0) != kept || (cap(r.sent[0]) > 0) != kept {
			t.Errorf("of lists of %d, %d and %d are kept", n, cap(r.out), cap(r.sent[0]))
		}
	}
}

// After a flood memory is given back, once.
func TestFloodOver(t *testing.T) {
	r := newRig()
	for _, step := range []struct {
		most int
		at   time.Duration // after the next look is due
		want bool
	}{{trimMin, -1, false}, {trimMin, 0, true}, {0, 0, false}, {trimMin - 1, 0, false}, {trimMin, 0, true}} {
		r.most = step.most
		if got := r.floodOver(r.trimAt + step.at); got != step.want {
			t.Fatalf("%+v: %t", step, got)
		}
	}
}
