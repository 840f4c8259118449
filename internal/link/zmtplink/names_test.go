package zmtplink_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// A name server that takes questions and never answers is the trouble of the link
// whose endpoint has the name, which goes on asking. Another link of the same host
// connects meanwhile, and its messages wait for nobody.
func TestSilentNameServer(t *testing.T) {
	asked := linktest.Names(t, netip.Addr{})
	besideAName := func(t *testing.T, nameFirst bool) {
		router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router})
		h := linktest.NewHost(t, tcp, link.Dealer)
		open := func(at string) link.Link {
			l, err := h.Open(link.Options{Role: link.Dealer, Endpoints: []string{at}, Identity: []byte("d"), ReconnectMin: 10 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		before := asked()
		var named, other link.Link
		if nameFirst {
			named = open("tcp://broker.invalid:5555")
		}
		other = open(router.Link.Addr())
		if !nameFirst {
			named = open("tcp://broker.invalid:5555")
		}
		dealer := linktest.NewEnd(t, h, other)
		linktest.Until(t, "connected", func() bool { return dealer.TrySend("", "first") == nil }, dealer)
		slow := 0
		for trips := 1; asked() < before+6; trips++ { // the questions of three look-ups, for a name's two kinds of addresses
			start := time.Now()
			linktest.Until(t, "ping", func() bool { return len(router.Data()) == trips }, router)
			router.Send("d", "pong")
			linktest.Until(t, "pong", func() bool { return len(dealer.Data()) == trips }, dealer)
			if time.Since(start) > time.Second/2 {
				slow++
			}
			time.Sleep(time.Millisecond)
			dealer.Send("", "ping")
		}
		if slow > 1 { // once the machine may have been busy
			t.Errorf("%d messages waited for the name server", slow)
		}
		if trouble := named.(link.Observed).Stats().LastTrouble; !strings.Contains(trouble, "lookup broker.invalid") {
			t.Errorf("the trouble of the other link is %q", trouble)
		}
	}
	t.Run("the name first", func(t *testing.T) { besideAName(t, true) })
	t.Run("the name last", func(t *testing.T) { besideAName(t, false) })
}

// A name that means an IPv6 address only is reached at that. Where there is no IPv6,
// it is at least what is tried.
func TestNameOfIPv6(t *testing.T) {
	linktest.Names(t, netip.IPv6Loopback())
	at, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		l, err := linktest.NewHost(t, tcp, link.Dealer).Open(link.Options{Role: link.Dealer, Endpoints: []string{"tcp://broker.invalid:1"}})
		if err != nil {
			t.Fatal(err)
		}
		linktest.Until(t, "::1 is tried", func() bool { return strings.Contains(l.(link.Observed).Stats().LastTrouble, "[::1]:1") })
		return
	}
	_, port, err := net.SplitHostPort(at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = at.Close()
	router := linktest.Open(t, tcp, "tcp://[::1]:"+port, link.Options{Role: link.Router})
	dealer := linktest.Open(t, tcp, "tcp://broker.invalid:"+port, link.Options{Role: link.Dealer, Identity: []byte("d")})
	linktest.Until(t, "connected", func() bool { return dealer.TrySend("", "hello") == nil }, dealer)
	linktest.Until(t, "a message", func() bool { return len(router.Data()) == 1 }, router)
}
