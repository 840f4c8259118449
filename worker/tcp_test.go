package worker_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// newTCPBroker is a fakeBroker over TCP.
func newTCPBroker(t *testing.T) *fakeBroker {
	t.Helper()
	b := &fakeBroker{t: t, host: zmtplink.New(nil), start: time.Now(), epoch: 1}
	t.Cleanup(func() { b.host.Close() })
	var err error
	if b.link, err = b.host.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}, Handover: true}); err != nil {
		t.Fatal(err)
	}
	return b
}

// A worker joins two brokers, one of them by a name that no name server answers for:
// the other one has it, and hears its heartbeats, whichever is named first.
func TestSilentNameServer(t *testing.T) {
	asked := linktest.Names(t, netip.Addr{})
	const name = "tcp://broker.invalid:5556"
	for _, order := range []string{"name, address", "address, name"} {
		t.Run(order, func(t *testing.T) {
			b := newTCPBroker(t)
			brokers := []string{name, b.link.Addr()}
			if order == "address, name" {
				brokers = []string{b.link.Addr(), name}
			}
			w := start(t, worker.Config{Brokers: brokers, Logger: logTo(t)}, worker.HandlerFunc(echo))
			b.welcome()
			before, heard := asked(), b.now()
			for id := byte(1); asked() < before+6; id++ { // the questions of three look-ups, for a name's two kinds of addresses
				b.expect(protocol.Heartbeat) // a link that is lost says READY instead
				if silent := b.now() - heard; silent > 2500*time.Millisecond {
					t.Errorf("no heartbeat for %v", silent)
				}
				heard = b.now()
				b.request(id, "x")
				b.reply(id, protocol.OK)
			}
			w.leave(b)
		})
	}
}

// A worker that leaves before it was welcomed says so to a broker that may know of it.
func TestLeavesWhileJoining(t *testing.T) {
	b := newTCPBroker(t)
	w := start(t, worker.Config{Brokers: []string{b.link.Addr()}, Logger: logTo(t)}, worker.HandlerFunc(echo))
	b.expect(protocol.Ready)
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if m := b.expect(protocol.Disconnect); m.Code != protocol.ReasonShutdown || m.Link != b.number {
		t.Errorf("%+v", m)
	}
}
