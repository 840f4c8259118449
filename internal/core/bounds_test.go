package core

import (
	"testing"

	"github.com/privateer-mq/privateer/protocol"
)

// A labourer is a worker that says what a test wants, with the numbers of its link
// right, and a client beside it.
type labourer struct {
	t         *testing.T
	c         *Core
	link      uint32
	seq, sent uint32
	out       []Output // of the last call
}

func newLabourer(t *testing.T, change func(*Config)) *labourer {
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	return &labourer{t: t, c: New(cfg, 0)}
}

// works lets the worker say m.
func (l *labourer) works(m protocol.Message) []Output {
	l.t.Helper()
	if m.Command == protocol.Ready && m.Part == 0 {
		l.link++
		l.seq, l.sent = 0, 0
	}
	l.seq++
	m.Link, m.Seq, m.Ack = l.link, l.seq, l.sent
	if m.Command == protocol.Ready {
		m.Instance, m.Ack = 1, 0
	}
	if m.Epoch == 0 {
		m.Epoch = l.c.cfg.Epoch
	}
	return l.did(l.c.Worker(l.c.now, Peer{ID: []byte("w")}, &m, nil))
}

// joins is a READY of one part, and the heartbeat that acknowledges WELCOME.
func (l *labourer) joins(credit uint32, services ...string) {
	m := protocol.Message{Command: protocol.Ready, Credit: credit, Flags: protocol.Last}
	for _, s := range services {
		m.Services = append(m.Services, []byte(s))
	}
	l.works(m)
	l.works(protocol.Message{Command: protocol.Heartbeat, Credit: credit})
}

// asks lets the client say m, a REQUEST if it is nothing else.
func (l *labourer) asks(m protocol.Message) []Output {
	l.t.Helper()
	if m.Command == 0 {
		m.Command, m.Service = protocol.Request, []byte("s")
	}
	m.Number, m.Instance = max(m.Number, 1), 7
	if m.RemainingMS == 0 {
		m.RemainingMS = 60_000
	}
	return l.did(l.c.Client(l.c.now, Peer{ID: []byte("c"), Envelope: [][]byte{{}}}, &m, nil))
}

func (l *labourer) did(out []Output) []Output {
	l.t.Helper()
	l.out = out
	for i := range out {
		if o := &out[i]; o.Kind == Send && o.Side == Back && o.Msg.Command != protocol.Disconnect {
			l.sent++
		}
	}
	return out
}

func (l *labourer) check() {
	l.t.Helper()
	if err := l.c.Check(); err != nil {
		l.t.Fatal(err)
	}
}

// drops counts the drops of one kind in the last call.
func (l *labourer) drops(why What) (n int) {
	for i := range l.out {
		if o := &l.out[i]; o.Kind == Drop && o.Event.What == why {
			n++
		}
	}
	return n
}

// answer is the last message of that command to a side in the last call.
func (l *labourer) answer(side Side, command protocol.Command) *protocol.Message {
	for i := len(l.out) - 1; i >= 0; i-- {
		if o := &l.out[i]; o.Kind == Send && o.Side == side && o.Msg.Command == command {
			return &o.Msg
		}
	}
	return nil
}

// What a worker answered, and what ended nothing, is remembered until a list lacks
// it: of a worker that never sends a list as many as one may name.
func TestAnswersWithoutAListAreBounded(t *testing.T) {
	l := newLabourer(t, nil)
	l.joins(1, "s")
	l.asks(protocol.Message{ID: numbered(1)})
	dropped := 0
	for n := range protocol.EntriesMax + 100 {
		l.works(protocol.Message{Command: protocol.Reply, Code: protocol.Retry, ID: numbered(1), Number: 1, Epoch: uint64(n + 100)})
		dropped += l.drops(DropOverBound)
	}
	if n := len(l.c.workers[1].taken); n != protocol.EntriesMax || dropped != 100 {
		t.Errorf("%d are remembered, %d were counted as too many; want %d and 100", n, dropped, protocol.EntriesMax)
	}
	l.check()
}

// The bound on kept replies is about their bytes, whatever sizes come in turn.
func TestKeptRepliesOfTwoSizes(t *testing.T) {
	const bound = 16 << 20
	for _, sizes := range [][2]int{{10, 4096}, {10, 100_000}, {300, 4000}, {4096, 5000}, {1000, 1000}} {
		l := newLabourer(t, func(cfg *Config) {
			cfg.ReplayBytes, cfg.MaxMessage, cfg.MaxQueueBytes, cfg.MaxIDs = bound, 1<<20, 1<<30, 1<<20
		})
		l.joins(1, "s")
		bytes := 0
		for n := 1; l.drops(DropReplayBody) == 0; n++ {
			l.asks(protocol.Message{ID: numbered(n)})
			l.works(protocol.Message{Command: protocol.Reply, Code: protocol.OK, ID: numbered(n), Number: 1, Body: [][]byte{make([]byte, sizes[n%2])}})
			bytes += sizes[n%2]
		}
		if bytes < bound*10/13 {
			t.Errorf("bodies of %v bytes in turn: one is gone after %d bytes of %d", sizes, bytes, bound)
		}
		l.check()
	}
}

// Of a worker with as much credit as there may be, what it is given always fits on its
// list: nothing goes out before it is thanked for what it has finished.
func TestAWholeListOfCredit(t *testing.T) {
	l := newLabourer(t, func(cfg *Config) { cfg.MaxQueue, cfg.MaxQueueBytes = 20_000, 1<<30 })
	l.joins(protocol.CreditMax, "s")
	held, most := 0, 0
	count := func() {
		for i := range l.out {
			o := &l.out[i]
			if o.Kind != Send || o.Side != Back {
				continue
			}
			if held -= len(o.Msg.Acks); o.Msg.Command == protocol.Request {
				held++
			}
			most = max(most, held)
		}
	}
	for n := range 6000 {
		l.asks(protocol.Message{ID: numbered(n)})
		count()
	}
	for n := range 1000 { // its place on the list is taken until it is acknowledged
		l.works(protocol.Message{Command: protocol.Reply, Code: protocol.OK, ID: numbered(n), Number: 1})
		count()
	}
	if most != protocol.EntriesMax {
		t.Errorf("its list would have %d entries, of %d", most, protocol.EntriesMax)
	}
	l.check()
}
