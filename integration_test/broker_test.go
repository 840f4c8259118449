package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// heartbeat of the brokers in these tests, unless it is the default's turn.
const heartbeat = 200 * time.Millisecond

// noWindow closes the recovery window: a request whose id its caller chose is
// not kept waiting for a worker that claims it.
const noWindow = "--recovery-window=1ms"

// A brokerProcess is a broker, and where it listens.
type brokerProcess struct {
	*process
	front, back string
	args        []string // to start it again
}

// startBroker starts a broker on free ports and waits until it listens. Later
// flags win over earlier ones.
func startBroker(t *testing.T, flags ...string) *brokerProcess {
	t.Helper()
	return startBrokerAt(t, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", flags...)
}

func startBrokerAt(t *testing.T, front, back string, flags ...string) *brokerProcess {
	t.Helper()
	args := []string{"broker", "--log-format=json", "--log-level=debug", "--heartbeat=" + heartbeat.String(),
		"--frontend=" + front, "--backend=" + back}
	b := &brokerProcess{args: append(args, flags...)}
	b.run(t)
	return b
}

// run starts b's process and waits until it listens.
func (b *brokerProcess) run(t *testing.T) {
	t.Helper()
	b.process = start(t, "broker", nil, binary, b.args...)
	eventually(t, patience, "the broker listens", func() bool {
		b.front, b.back = b.log.listening()
		return b.front != "" || !b.alive()
	})
	if b.front == "" {
		t.Fatalf("the broker does not start:\n%s", b.log.tail())
	}
	if on := b.log.listens.Transport; on != transport {
		t.Fatalf("the broker is on transport %s, and this is the test of %s", on, transport)
	}
}

// restart kills b and starts another one on the same ports.
func (b *brokerProcess) restart() {
	b.t.Helper()
	b.kill()
	b.run(b.t)
}

// awaitWorkers waits until n workers have registered, in all.
func (b *brokerProcess) awaitWorkers(n int) {
	b.t.Helper()
	eventually(b.t, patience, fmt.Sprintf("%d workers have registered", n), func() bool { return b.log.seen("worker_ready") >= n })
}

// awaitState waits until b has logged state of a request.
func (b *brokerProcess) awaitState(state string, id fmt.Stringer) {
	b.t.Helper()
	eventually(b.t, patience, fmt.Sprintf("%s: %s", id, state), func() bool { return b.log.seenOf(state, id.String()) > 0 })
}

// wantHealthy checks that b lives and answers.
func (b *brokerProcess) wantHealthy() {
	b.t.Helper()
	if !b.alive() {
		b.t.Fatal("the broker has died")
	}
	if out, said, code := privateer(b.t, "ping", "--broker", b.front); code != 0 {
		b.t.Fatalf("privateer ping: exit %d: %s%s", code, out, said)
	}
}

// fixedEndpoint returns a free endpoint that stays free while nobody listens
// there: below the range from which connections take their own ports, or one
// that knocks there again and again could in the end connect to itself.
func fixedEndpoint(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return "tcp://" + address
		}
	}
	t.Fatal("no free port")
	return ""
}

// adminAddr is where b's admin listener is.
func (b *brokerProcess) adminAddr() string {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	return b.log.listens.Admin
}
