package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	cellsAtOnce = 6 // they wait more than they work
	strikes     = 3 // workers killed at work, in each cell
	atWork      = 150 * time.Millisecond
	// Far longer than a redelivery takes: a client that asks again has been let down.
	clientTimeout = 10 * time.Second
)

// Every kind of client with every kind of worker, while workers that hold
// requests are killed: each request gets one right answer, and it is the broker
// that sees to it. No client has to ask again.
func TestMatrix(t *testing.T) {
	wantPython(t)
	buildGuide(t)
	began := time.Now()
	var cells []cell
	for _, w := range workerKinds {
		for _, c := range clientKinds {
			cells = append(cells, cell{c, w})
		}
	}
	work := make(chan cell)
	var all sync.WaitGroup
	for range cellsAtOnce { // t.Parallel would be bound to the number of processors
		all.Go(func() {
			for c := range work {
				t.Run(c.client.name+" × "+c.worker.name, c.play)
			}
		})
	}
	for _, c := range cells {
		work <- c
	}
	close(work)
	all.Wait()
	t.Logf("%d cells in %v", len(cells), time.Since(began).Round(time.Second))
}

// A cell is one kind of client with one kind of worker.
type cell struct {
	client clientKind
	worker workerKind
}

func (c cell) play(t *testing.T) {
	b := startBroker(t, "--default-service=echo")
	crew := &crew{t: t, b: b, start: func() *process { return c.worker.start(t, b) }, members: map[string]*process{}}
	crew.hire()
	crew.hire()
	q := &questions{}
	defer q.over.Store(true) // the client ends with the test, whatever becomes of it
	done := make(chan tally, 1)
	ctx := testContext(t)
	go func() { done <- c.client.run(ctx, b.front, q) }()
	var after []string
	for n := range strikes {
		eventually(t, patience, "some requests are done", func() bool { return b.log.seen("finished") >= 6*(n+1) || len(done) > 0 })
		if len(done) > 0 { // nothing ends it but an error
			break
		}
		after = append(after, crew.strike().Round(time.Millisecond).String())
	}
	q.over.Store(true)
	var a tally
	select {
	case a = <-done:
	case <-ctx.Done():
		t.Fatal("the client does not end")
	}
	asked, again := int(q.asked.Load()), len(redelivered(b.log))
	t.Logf("%-12s × %-7s %3d requests, %d redelivered (%s after the kill), %d retries, %d wrong, %d lost",
		c.client.name, c.worker.name, asked, again, strings.Join(after, ", "), a.retries, a.wrong, a.lost)
	if a.right != asked || a.wrong > 0 || a.lost > 0 || a.err != nil {
		t.Errorf("of %d requests %d were answered right, %d wrong, %d not at all; error %v", asked, a.right, a.wrong, a.lost, a.err)
	}
	if a.retries > 0 {
		t.Errorf("the clients had to ask again %d times", a.retries)
	}
	eventually(t, patience, "the log says that they have ended", func() bool { return b.log.seen("finished") >= asked })
	if n := b.log.seen("finished"); n > asked {
		t.Errorf("the broker has finished %d requests, of %d", n, asked)
	}
	if !b.alive() {
		t.Error("the broker has died")
	}
}

// Questions are drawn by the clients of a cell until it is over.
type questions struct {
	asked atomic.Int64
	over  atomic.Bool
}

// next returns a body of its own for each request.
func (q *questions) next() (body string, ok bool) {
	if q.over.Load() {
		return "", false
	}
	return fmt.Sprintf("question %d", q.asked.Add(1)), true
}

// A tally is what became of the requests of one client.
type tally struct {
	right, wrong, lost int
	retries            int // sendings after the first
	err                error
}

func (a *tally) add(b tally) {
	a.right, a.wrong, a.lost, a.retries = a.right+b.right, a.wrong+b.wrong, a.lost+b.lost, a.retries+b.retries
	if a.err == nil {
		a.err = b.err
	}
}

// A crew is the worker processes at a broker, by the names that it gives them.
type crew struct {
	t       *testing.T
	b       *brokerProcess
	start   func() *process
	members map[string]*process
}

// hire starts a worker and waits until the broker knows it.
func (c *crew) hire() {
	c.t.Helper()
	n := c.b.log.seen("worker_ready")
	p := c.start()
	c.b.awaitWorkers(n + 1)
	c.members[c.b.log.events("worker_ready")[n].Worker] = p
}

// strike kills a worker in the middle of a request, and starts another in its
// place. It returns how long it took until the request was to be handed on.
func (c *crew) strike() time.Duration {
	c.t.Helper()
	for range 5 { // the worker may have been done just before
		var e event
		eventually(c.t, patience, "a worker is in the middle of a request", func() (ok bool) { e, ok = c.held(); return ok })
		p, killed := c.members[e.Worker], time.Now()
		p.kill()
		delete(c.members, e.Worker)
		c.hire()
		eventually(c.t, patience, "the request is done or to be done again", func() bool {
			return c.b.log.seenOf("finished", e.ID)+c.b.log.seenOf("requeued", e.ID) > 0
		})
		if at, ok := redelivered(c.b.log)[e.ID]; ok {
			return at.Sub(killed)
		}
	}
	c.t.Fatal("no kill has hit a worker at work")
	return 0
}

// held returns the hand-over of a request that a worker is in the middle of. It
// leaves out what has lost a worker before: three losses are the end of a request.
func (c *crew) held() (found event, ok bool) {
	busy := map[string]event{}
	lost := redelivered(c.b.log)
	for _, e := range c.b.log.events("handed_out", "finished", "requeued") {
		if e.State == "handed_out" {
			busy[e.ID] = e
		} else {
			delete(busy, e.ID)
		}
	}
	for _, e := range busy {
		since := time.Since(e.Time)
		if _, again := lost[e.ID]; !again && c.members[e.Worker] != nil && since > atWork/4 && since < atWork*3/4 {
			return e, true
		}
	}
	return event{}, false
}

// redelivered has the requests that were taken back from a lost worker before
// they were done, and when.
func redelivered(j *journal) map[string]time.Time {
	all, done := map[string]time.Time{}, map[string]bool{}
	for _, e := range j.events("requeued", "finished") {
		switch {
		case e.State == "finished":
			done[e.ID] = true
		case e.Reason == "worker lost" && !done[e.ID]:
			all[e.ID] = e.Time
		}
	}
	return all
}

// An event is a line of a broker's log.
type event struct {
	State, Worker, Service, Reason string
	ID                             string `json:"request_id"`
	Attempt                        int
	Suppressed                     int // lines like it that were left out before
	Time                           time.Time
}

// events returns the events of these states, in their order.
func (j *journal) events(states ...string) (all []event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.told {
		if slices.Contains(states, j.told[i].State) {
			all = append(all, j.told[i])
		}
	}
	return all
}
