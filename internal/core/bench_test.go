package core

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A mill drives a core with workers that answer at once.
type mill struct {
	c       *Core
	now     time.Duration
	n       uint64
	workers []mate
	out     []Output
	msg     protocol.Message
	body    [][]byte
}

// A mate is a worker's end of its link. Its routing id is its index, so that
// the mill itself looks nothing up.
type mate struct {
	id       [4]byte
	seq, ack uint32
	w        *worker
}

func newMill(workers, services, credit int) *mill {
	cfg := testConfig()
	cfg.MaxQueue, cfg.MaxQueueBytes, cfg.MaxPeers, cfg.MaxServices, cfg.MaxIDs = 4_000_000, 1<<40, 20000, 2000, 40_000_000
	cfg.MaxAttempts, cfg.Heartbeat, cfg.DefaultDeadline = 3, time.Minute, time.Hour
	m := &mill{c: New(cfg, 0), workers: make([]mate, workers), body: [][]byte{make([]byte, 64)}}
	for i := range m.workers {
		binary.BigEndian.PutUint32(m.workers[i].id[:], uint32(i))
		m.tell(i, protocol.Message{Command: protocol.Ready, Instance: uint64(i + 1), Credit: uint32(credit), Flags: protocol.Last,
			Services: [][]byte{serviceNames[i%services]}})
		m.tell(i, protocol.Message{Command: protocol.Heartbeat, Credit: uint32(credit)})
		m.workers[i].w = m.c.workers[uint64(i+1)]
	}
	return m
}

func (m *mill) tell(i int, msg protocol.Message) {
	a := &m.workers[i]
	a.seq++
	msg.Link, msg.Seq, msg.Ack, msg.Epoch = 1, a.seq, a.ack, 1
	m.msg = msg
	m.out = m.c.Worker(m.now, Peer{ID: a.id[:]}, &m.msg, m.out)
	m.deliver()
}

func (m *mill) ask(service int, code protocol.Code) {
	m.n++
	m.msg = protocol.Message{Command: protocol.Request, Code: code, Number: 1, Epoch: 1, Instance: 1, RemainingMS: 3_600_000,
		Service: serviceNames[service], Body: m.body}
	binary.BigEndian.PutUint64(m.msg.ID[:], m.n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(m.msg.ID[8:], m.n)
	m.out = m.c.Client(m.now, Peer{ID: clientID}, &m.msg, m.out)
	m.deliver()
	if m.n%32 == 0 { // a turn of the loop
		m.out = m.c.Tick(m.now, m.out)
		m.deliver()
	}
}

var (
	clientID     = []byte("client")
	serviceNames = func() (names [2000][]byte) {
		for i := range names {
			names[i] = fmt.Appendf(nil, "service%d", i)
		}
		return
	}()
)

func (m *mill) deliver() {
	for i := range m.out {
		o := &m.out[i]
		if o.Kind != Send || o.Side != Back {
			continue
		}
		m.workers[binary.BigEndian.Uint32(o.To.ID)].ack++
	}
	m.out = m.out[:0]
}

// BenchmarkRequest is one whole request through the core: REQUEST in, hand-over
// out, REPLY in, REPLY out.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []struct{ workers, services, queued int }{
		{10, 1, 0}, {10_000, 1, 0}, {1000, 1000, 0}, {10, 1, 1000}, {10, 1, 1_000_000},
	} {
		b.Run(fmt.Sprintf("workers=%d/services=%d/queued=%d", size.workers, size.services, size.queued), func(b *testing.B) {
			m := newMill(size.workers, size.services, 1)
			for i := range size.workers + size.queued {
				m.ask(i%size.services, 0)
			}
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				m.turn(i%size.workers, size.services)
			}
			b.StopTimer()
			if err := m.c.checkBounds(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// turn finishes the request that worker i holds and asks for another.
func (m *mill) turn(i, services int) {
	a := &m.workers[i]
	r := a.w.runs.head
	a.seq++
	m.msg = protocol.Message{Command: protocol.Reply, Code: protocol.OK, ID: r.id, Number: r.run.attempt, Epoch: 1,
		Link: 1, Seq: a.seq, Ack: a.ack, Body: m.body}
	m.out = m.c.Worker(m.now, a.w.peer, &m.msg, m.out)
	m.deliver()
	m.ask(i%services, 0)
}

// BenchmarkMemoryQueued prints the bytes that one queued request costs beside
// its own.
func BenchmarkMemoryQueued(b *testing.B) {
	for range b.N {
		b.ReportMetric(memoryQueued(1_000_000), "B/queued")
	}
}

func memoryQueued(n int) float64 {
	m := newMill(1, 1, 0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		m.ask(0, 0)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc)/float64(n) - float64(len(m.body[0]))
	runtime.KeepAlive(m)
	return each
}

// BenchmarkMemoryIDs prints the bytes that one remembered id costs, besides the
// replies that are kept.
func BenchmarkMemoryIDs(b *testing.B) {
	for range b.N {
		b.ReportMetric(memoryIDs(1_000_000), "B/id")
	}
}

func memoryIDs(n int) float64 {
	m := newMill(1, 1, 1)
	m.ask(0, 0)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range n {
		m.turn(0, 1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)-m.c.done.kept.pages.Bytes()) / float64(n)
	if m.c.done.size() != n {
		panic(fmt.Sprintf("%d ids are remembered of %d", m.c.done.size(), n))
	}
	runtime.KeepAlive(m)
	return each
}
