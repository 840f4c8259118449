package zmtplink_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// eachRouter runs a test for a Router that reads its connections itself, and for
// one that has a goroutine for each. setUp, if not nil, is called for their hosts.
func eachRouter(t *testing.T, o link.Options, setUp func(link.Host), f func(t *testing.T, router *linktest.End)) {
	t.Helper()
	o.Role, o.Monitor = link.Router, true
	for name, made := range map[string]func() (link.Host, error){"polled": newHost, "a goroutine each": netpolled} {
		k := linktest.Kind{Bind: func() (link.Host, error) {
			h, err := made()
			if err == nil && setUp != nil {
				setUp(h)
			}
			return h, err
		}}
		t.Run(name, func(t *testing.T) {
			attended = linktest.Open(t, k, "tcp://127.0.0.1:0", o)
			t.Cleanup(func() { attended = nil })
			f(t, attended)
		})
	}
}

// claim connects with a routing id that is taken.
func claim(t *testing.T, router *linktest.End) *linktest.End {
	t.Helper()
	return linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("same"), Monitor: true})
}

// Who comes with the routing id of a connection that lives is cut off, and served
// as soon as the id is free.
func TestTakenID(t *testing.T) {
	eachRouter(t, link.Options{}, nil, func(t *testing.T, router *linktest.End) {
		first := claim(t, router)
		linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
		second := claim(t, router)
		linktest.Until(t, "the second is cut off", func() bool { return stats(router).TakenIDs > 1 }, second, router)
		if second.Count(link.Connected) > 0 {
			t.Error("what is cut off has been told READY")
		}
		if router.Count(link.Connected) != 1 || router.Count(link.Disconnected) != 0 {
			t.Error("the owner is told of it")
		}
		if st := stats(router); st.TakenIDs == 0 || st.SilentCut != 0 || !strings.Contains(st.LastTrouble, "routing id") {
			t.Errorf("%+v", st)
		}
		router.Send("same", "x")
		linktest.Until(t, "the first has what is its own", func() bool { return len(first.Data()) == 1 }, first, router)
		if err := first.Host.Close(); err != nil {
			t.Fatal(err)
		}
		linktest.Until(t, "the second is heard", func() bool {
			_ = second.TrySend("", "y")
			return len(router.Data()) > 0
		}, second, router)
		router.Send("same", "z")
		linktest.Until(t, "and answered", func() bool { return len(second.Data()) > 0 }, second, router)
	})
}

// A connection that says nothing, not even when it is asked, is what a network
// that was cut has left: who comes with its routing id takes its place, and
// nothing that it has sent meanwhile is lost.
func TestTakenIDOfTheDead(t *testing.T) {
	soon := func(h link.Host) {
		zmtplink.AskEach(h, 5*time.Millisecond)
		zmtplink.HandshakeWithin(h, linktest.Patience)
	}
	eachRouter(t, link.Options{}, soon, func(t *testing.T, router *linktest.End) {
		dead := join(t, router.Link.Addr(), "same")
		linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
		again := claim(t, router)
		linktest.Until(t, "it sends", func() bool { return again.TrySend("", "once") == nil }, again, router)
		linktest.Until(t, "it is heard", func() bool { return len(router.Data()) == 1 }, again, router)
		router.Send("same", "reply")
		linktest.Until(t, "and answered", func() bool { return len(again.Data()) == 1 }, again, router)
		ends(t, dead)
		if st := stats(router); st.SilentCut != 1 || st.TakenIDs != 0 || again.Count(link.Disconnected) != 0 {
			t.Errorf("%+v", st)
		}
		if router.Count(link.Connected) != 2 || router.Count(link.Disconnected) != 1 {
			t.Errorf("events %v", router.Read)
		}
	})
}

// Silence proves nothing of a peer that knows no PING, of one whose question waits
// for room, or of one that is not read: their routing ids stay theirs.
func TestTakenIDOfWhoCannotBeAsked(t *testing.T) {
	soon := func(h link.Host) {
		zmtplink.AskEach(h, time.Millisecond)
		zmtplink.HandshakeWithin(h, 500*time.Millisecond)
	}
	for _, c := range []struct {
		name    string
		options link.Options
		holder  func(t *testing.T, router *linktest.End) net.Conn
	}{
		{"it knows no PING", link.Options{}, func(t *testing.T, router *linktest.End) net.Conn {
			t.Helper()
			nc := dial(t, router.Link.Addr())
			write(t, nc, []byte("\xff\x00\x00\x00\x00\x00\x00\x00\x05\x7f\x01\x05\x00\x04same"))
			linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
			return nc
		}},
		{"the question waits for room", link.Options{PeerBytesMax: 1 << 20}, func(t *testing.T, router *linktest.End) net.Conn {
			t.Helper()
			nc := join(t, router.Link.Addr(), "same")
			body := strings.Repeat("x", 1<<18)
			linktest.Until(t, "it takes no more", func() bool { return errors.Is(router.TrySend("same", body), link.ErrFull) }, router)
			return nc
		}},
		{"it is not read", link.Options{RecvMax: 1}, func(t *testing.T, router *linktest.End) net.Conn {
			t.Helper()
			nc := join(t, router.Link.Addr(), "same")
			linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
			for range 2 {
				write(t, nc, frame(zmtp.Last, "x"))
			}
			attend(t, func() {
				for stats(router).ReadPauses == 0 {
					time.Sleep(time.Millisecond)
				}
			})
			return nc
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachRouter(t, c.options, soon, func(t *testing.T, router *linktest.End) {
				c.holder(t, router)
				second := claim(t, router)
				attend(t, func() {
					for stats(router).TakenIDs == 0 && stats(router).SilentCut == 0 {
						time.Sleep(time.Millisecond)
					}
				})
				if st := stats(router); st.SilentCut != 0 || st.Connections != 1 {
					t.Errorf("%+v", st)
				}
				if err := second.Host.Close(); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// Nobody was silent while the Router's owner was elsewhere.
func TestTakenIDWhileNobodyLooks(t *testing.T) {
	const each = 20 * time.Millisecond
	made := func() (link.Host, error) {
		h := zmtplink.New(nil)
		zmtplink.AskEach(h, each)
		return h, nil
	}
	router := linktest.Open(t, linktest.Kind{Bind: made}, "tcp://127.0.0.1:0", link.Options{Role: link.Router, Monitor: true})
	first := claim(t, router)
	linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
	second := claim(t, router)
	linktest.Until(t, "the second comes", func() bool { return stats(router).Handshakes > 0 }, second)
	time.Sleep(30 * each)
	linktest.Until(t, "the second is cut off", func() bool { return stats(router).TakenIDs > 0 }, router)
	router.Send("same", "x")
	linktest.Until(t, "the first is served", func() bool { return len(first.Data()) == 1 }, first, router)
	if st := stats(router); st.SilentCut != 0 {
		t.Errorf("%+v", st)
	}
}
