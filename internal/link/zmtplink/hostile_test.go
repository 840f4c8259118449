package zmtplink_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// What is no ZeroMQ, or cannot talk to a Router, is refused, counted, and no
// event; neighbours are served.
func TestBadHandshakes(t *testing.T) {
	router := openRouter(t, link.Options{})
	for n, c := range []struct{ bytes, trouble string }{
		{"GET / HTTP/1.1\r\n\r\n", "no greeting of ZMTP"},
		{strings.Repeat("\xff", 100), "the peer's mechanism is"},
		{"\x05\x00peer", "ZMTP 1.0"},
		{"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x01", "a PUB cannot talk to a ROUTER"},
	} {
		nc := dial(t, router.Link.Addr())
		write(t, nc, []byte(c.bytes))
		ends(t, nc)
		linktest.Until(t, "it is counted", func() bool { return stats(router).BadHandshakes == uint64(n+1) }, router)
		if got := stats(router).LastTrouble; !strings.Contains(got, c.trouble) || !strings.HasPrefix(got, "127.0.0.1:") {
			t.Errorf("the last trouble is %q, want %q", got, c.trouble)
		}
	}
	if _, err := shake(dial(t, router.Link.Addr()), zmtp.Dealer, "\x00\x00\x00\x00\x01"); err == nil ||
		!strings.Contains(err.Error(), "begins with a zero byte") {
		t.Errorf("a routing id that begins with a zero byte: %v", err)
	}
	served(t, router)
	router.Recv(100)
	if router.Count(link.Connected) != 1 {
		t.Errorf("events %v", router.Read)
	}
}

// A handshake takes a while at most.
func TestLateHandshakes(t *testing.T) {
	host := linktest.NewHost(t, tcp, link.Router)
	zmtplink.HandshakeWithin(host, 200*time.Millisecond)
	l, err := host.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}, Monitor: true})
	if err != nil {
		t.Fatal(err)
	}
	router := linktest.NewEnd(t, host, l)
	for range 3 {
		write(t, dial(t, l.Addr()), []byte("\xff\x00\x00"))
	}
	linktest.Until(t, "they end", func() bool { return stats(router).LateHandshakes == 3 }, router)
	served(t, router)
}

// Of too many connections that say nothing those that came first end at once,
// and so keep no neighbour out.
func TestManyHandshakes(t *testing.T) {
	router := openRouter(t, link.Options{HandshakesMax: 3})
	first := dial(t, router.Link.Addr())
	linktest.Until(t, "it is there", func() bool { return stats(router).Handshakes == 1 }, router)
	for range 9 {
		dial(t, router.Link.Addr())
	}
	ends(t, first)
	linktest.Until(t, "too many are counted", func() bool { return stats(router).ManyHandshakes == 7 }, router)
	served(t, router)
	if st := stats(router); st.Handshakes > 3 || st.LateHandshakes != 0 {
		t.Errorf("%+v", st)
	}
}

// A message that never ends, by frames or by bytes, and a frame that is too
// large end their connection while they are read, and take nobody else with it.
func TestEndlessMessages(t *testing.T) {
	router := openRouter(t, link.Options{FramesMax: 100, PeerBytesMax: 1 << 20, FrameBytesMax: 512 << 10})
	for n, c := range []struct {
		frame []byte
		count func(link.Stats) uint64
	}{
		{frame(zmtp.More, ""), func(s link.Stats) uint64 { return s.LongMessages }},
		{frame(zmtp.More, strings.Repeat("x", 50_000)), func(s link.Stats) uint64 { return s.LongMessages - 1 }},
		{append([]byte{2}, binary.BigEndian.AppendUint64(nil, 512<<10+1)...), func(s link.Stats) uint64 { return s.LargeFrames }},
		{[]byte{0xf8, 0}, func(s link.Stats) uint64 { return s.Malformed }},
	} {
		name := fmt.Sprintf("bad%d", n)
		nc := join(t, router.Link.Addr(), name)
		write(t, nc, frame(zmtp.Last, "first a good one"))
		attend(t, func() {
			for range 5000 {
				if _, err := nc.Write(c.frame); err != nil {
					return
				}
			}
		})
		ends(t, nc)
		linktest.Until(t, "it is counted", func() bool { return c.count(stats(router)) == 1 }, router)
		linktest.Until(t, "its end is told", func() bool { return router.Count(link.Disconnected) == n+1 }, router)
		if last := router.Read[len(router.Read)-1]; string(last.Peer) != name || last.Kind != link.Disconnected {
			t.Errorf("the last event is %v of %q, want Disconnected of %s", last.Kind, last.Peer, name)
		}
		if got := router.Data(); len(got) != n+1 || string(got[n].Frames[0]) != "first a good one" {
			t.Errorf("before that %d messages were read", len(got))
		}
	}
	if st := stats(router); st.BytesToRead != 0 || st.Unfinished != 0 {
		router.Recv(1)
		if st = stats(router); st.BytesToRead != 0 || st.Unfinished != 0 {
			t.Errorf("%d bytes are held, %d of them unfinished", st.BytesToRead, st.Unfinished)
		}
	}
	served(t, router)
}

// Of many messages that have begun those that began first end, and neighbours
// are served all the while.
func TestUnfinishedTogether(t *testing.T) {
	router := openRouter(t, link.Options{FrameBytesMax: 1 << 20, LinkBytesMax: 16 << 20, PeerBytesMax: 1 << 20})
	first := join(t, router.Link.Addr(), "first")
	write(t, first, append([]byte{2}, binary.BigEndian.AppendUint64(nil, 1<<20)...))
	linktest.Until(t, "it has begun", func() bool { return stats(router).Unfinished >= 1<<20 }, router)
	for n := range 20 {
		nc := join(t, router.Link.Addr(), fmt.Sprint("later ", n))
		write(t, nc, append([]byte{2}, binary.BigEndian.AppendUint64(nil, 1<<20)...))
	}
	ends(t, first)
	linktest.Until(t, "the others follow", func() bool { st := stats(router); return st.UnfinishedCut == 17 && st.Connections == 4 }, router)
	served(t, router)
	if st := stats(router); st.Unfinished > 4<<20 {
		t.Errorf("%d bytes are unfinished", st.Unfinished)
	}
}

// Who does not read is full some time; when many do not, those on whom most
// waits are cut off. Who reads is served.
func TestSlowReaders(t *testing.T) {
	router := openRouter(t, link.Options{SendMax: 1 << 20, PeerBytesMax: 4 << 20, LinkBytesMax: 32 << 20})
	body := []byte(strings.Repeat("b", 64<<10))
	for n := range 8 {
		name := fmt.Sprint("slow ", n)
		nc := join(t, router.Link.Addr(), name)
		linktest.Until(t, "it is connected", func() bool { return router.Count(link.Connected) == n+1 }, router)
		for stats(router).SlowCut == 0 {
			err := router.Link.Send([]byte(name), body)
			if errors.Is(err, link.ErrUnreachable) { // cut off since it was looked at
				linktest.Until(t, "it is counted", func() bool { return stats(router).SlowCut > 0 }, router)
			} else if err != nil && !errors.Is(err, link.ErrFull) {
				t.Fatal(err)
			}
			if err != nil {
				break
			}
		}
		if st := stats(router); st.BytesToSend > 16<<20 {
			t.Fatalf("%d bytes wait with %d slow peers", st.BytesToSend, n+1)
		}
		_ = nc
	}
	st := stats(router)
	if st.SlowCut == 0 || st.Full == 0 {
		t.Fatalf("%+v", st)
	}
	linktest.Until(t, "the ends are told", func() bool { return router.Count(link.Disconnected) == int(st.SlowCut) }, router)
	served(t, router)
}

// Who sends faster than it is read is read later, and nothing is lost.
func TestFastSenders(t *testing.T) {
	const messages, senders, plenty = 20_000, 3, 1 << 20
	for name, c := range map[string]struct {
		options link.Options
		most    int64 // bytes that wait; without the bound it is over 12 MB
	}{
		"by messages": {link.Options{RecvMax: 50}, 1 << 20},
		"by bytes":    {link.Options{RecvMax: plenty, PeerBytesMax: 300 << 10}, 3 * (300 + 64 + 64) << 10},
		"together":    {link.Options{RecvMax: plenty, PeerBytesMax: 1 << 20, LinkBytesMax: 2 << 20}, 1<<20 + 3*(64+64)<<10},
	} {
		t.Run(name, func(t *testing.T) {
			router := openRouter(t, c.options)
			var sent atomic.Int64
			for n := range senders {
				nc := join(t, router.Link.Addr(), fmt.Sprint("fast ", n))
				go func() {
					for i := range messages {
						if _, err := nc.Write(append(frame(zmtp.More, fmt.Sprint(i)), frame(zmtp.Last, strings.Repeat("x", 500))...)); err != nil {
							return
						}
						sent.Add(1)
					}
				}()
			}
			for before := int64(-1); sent.Load() > before; { // until all of them are stuck, or through
				before = sent.Load()
				attend(t, func() { <-time.After(200 * time.Millisecond) })
			}
			if waits := stats(router).BytesToRead; waits > c.most || waits < c.most/20 {
				t.Errorf("%d bytes wait, want %d at most", waits, c.most)
			}
			drain(t, router, messages*senders)
		})
	}
}

// drain reads so many messages, whose first frames count from 0 for each peer.
func drain(t *testing.T, router *linktest.End, total int) {
	t.Helper()
	next := map[string]int{}
	for end := time.Now().Add(linktest.Patience); total > 0; {
		if time.Now().After(end) {
			t.Fatalf("%d messages are missing", total)
		}
		if err := router.Host.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
		got, err := router.Link.Recv(nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got {
			if m.Kind != link.Data {
				continue
			}
			if p := string(m.Peer); string(m.Frames[0]) != fmt.Sprint(next[p]) {
				t.Fatalf("%s: %q came, want %d", p, m.Frames[0], next[p])
			}
			next[string(m.Peer)]++
			total--
		}
	}
}

// One peer that sends a lot does not keep another's message waiting.
func TestPeersAreReadInTurn(t *testing.T) {
	router := openRouter(t, link.Options{RecvMax: 100_000})
	flood, quiet := join(t, router.Link.Addr(), "flood"), join(t, router.Link.Addr(), "quiet")
	for range 1000 {
		write(t, flood, frame(zmtp.Last, "x"))
	}
	attend(t, func() {
		linktest.Until(t, "much waits", func() bool { return messagesOf(router, "flood") == 1000 })
	})
	write(t, quiet, frame(zmtp.Last, "y"))
	attend(t, func() {
		linktest.Until(t, "the other's waits", func() bool { return messagesOf(router, "quiet") == 1 })
	})
	router.Recv(100)
	for _, m := range router.Data() {
		if string(m.Peer) == "quiet" {
			return
		}
	}
	t.Fatal("not one of the first hundred messages is the quiet peer's")
}

// messagesOf is how many messages have come from a peer.
func messagesOf(router *linktest.End, peer string) uint64 {
	for _, p := range router.Link.(link.Observed).Peers(nil) {
		if string(p.Peer) == peer {
			return p.MessagesIn
		}
	}
	return 0
}
