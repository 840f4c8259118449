package integration

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/client"
)

// What somebody sees who is paged at night: for each trouble, which command
// shows it, and how soon. docs/operating.md tells the same; the lines that are
// logged here are those it shows.

// An operator types commands at a broker's admin listener.
type operator struct {
	t     *testing.T
	admin string
	since time.Time // the trouble began
}

func newOperator(t *testing.T, b *brokerProcess) *operator {
	t.Helper()
	return &operator{t: t, admin: b.adminAddr(), since: time.Now()}
}

// trouble begins now.
func (o *operator) trouble() { o.since = time.Now() }

// sees types a command again and again until what it prints has all of these
// (regular expressions) in it, and it ends with that code.
func (o *operator) sees(code int, words []string, args ...string) {
	o.t.Helper()
	args = append(args[:1:1], append([]string{"--admin", o.admin}, args[1:]...)...)
	var out string
	eventually(o.t, 20*time.Second, strings.Join(args, " ")+" shows "+strings.Join(words, ", "), func() bool {
		stdout, stderr, got := privateer(o.t, args...)
		out = stdout + stderr
		for _, w := range words {
			if !regexp.MustCompile(w).MatchString(stdout) {
				return false
			}
		}
		return got == code
	})
	o.t.Logf("after %.1f s, privateer %s:\n%s", time.Since(o.since).Seconds(), strings.Join(args, " "), out)
}

func pagedBroker(t *testing.T, flags ...string) (*brokerProcess, *operator) {
	t.Helper()
	b := startBroker(t, append([]string{"--admin=127.0.0.1:0", "--recovery-window=1ms"}, flags...)...)
	return b, newOperator(t, b)
}

// A service's only worker is killed.
func TestPagedWorkerKilled(t *testing.T) {
	t.Parallel()
	b, o := pagedBroker(t)
	log, gate := newRunLog(t), newGate(t)
	w := startWorkers(t, 1, b, log)[0]
	p := newPipeline(t, at(b))
	id := newID()
	p.Go(testContext(t), askAs(id, gate.do(), "held"))
	log.awaitStart("held", 1)
	o.trouble()
	w.kill()
	o.sees(0, []string{`(?m)^default +no workers +1 `}, "services")
	o.sees(0, []string{"no live worker serves it", "was lost with attempt 1"}, "why", id.String())
	o.sees(2, []string{"CRITICAL", "default has 0 live workers"}, "check", "--min-workers", "1")
}

// A poison request takes three workers down.
func TestPagedPoison(t *testing.T) {
	t.Parallel()
	b, o := pagedBroker(t)
	log := newRunLog(t)
	startWorkers(t, 3, b, log)
	c := newClient(t, at(b))
	id := newID()
	o.trouble()
	if _, err := c.Do(testContext(t), askAs(id, "die", "poison")); err == nil {
		t.Fatal("the poison was no poison")
	}
	o.sees(0, []string{id.String() + `  default  WORKER_LOST +3 `}, "dead")
	o.sees(0, []string{"dead letter", "attempt 3", "was lost with attempt 1"}, "why", id.String())
	o.sees(2, []string{"CRITICAL: 1 dead letter"}, "check", "--max-dead", "0")
}

// A client floods one service.
func TestPagedFlood(t *testing.T) {
	t.Parallel()
	b, o := pagedBroker(t)
	startWorkers(t, 1, b, newRunLog(t))
	p := newPipeline(t, patient(at(b)))
	o.trouble()
	for range 500 {
		p.Go(testContext(t), ask("sleep 50ms", "flood"))
	}
	o.sees(0, []string{`default +4[0-9]{2} `, `1 running`}, "top", "--once")
	o.sees(2, []string{"CRITICAL", "more than 100"}, "check", "--max-queued", "100")
	o.sees(2, []string{"CRITICAL: a request of default has waited"}, "check", "--max-oldest", "2s")
}

// A worker hangs: it sends heartbeats, and its handler does not come back.
func TestPagedHang(t *testing.T) {
	t.Parallel()
	b, o := pagedBroker(t)
	log, gate := newRunLog(t), newGate(t)
	startWorkers(t, 1, b, log)
	p := newPipeline(t, at(b))
	id := newID()
	o.trouble()
	p.Go(testContext(t), askAs(id, gate.do(), "hangs"))
	log.awaitStart("hangs", 1)
	p.Go(testContext(t), client.Request{Service: "default", Body: []byte("next")})
	o.sees(0, []string{`up +([2-9]|[0-9]{2})[.0-9]*s`}, "workers") // busy for two seconds and more
	o.sees(0, []string{`works on it, attempt 1, for ([2-9]|[0-9]{2})[.0-9]*s`}, "why", id.String())
	o.sees(2, []string{"CRITICAL: a request of default has waited"}, "check", "--max-oldest", "1s")
	o.sees(0, []string{"cancelled"}, "cancel", id.String())
	gate.open()
}
