package adminpage

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// hostile is a service name that would run a script if it got into the page as
// HTML. It turns the title, too, if any of it runs.
const hostile = `<img src=x onerror="window.owned=1"><script>window.owned=2</script>`

var started = time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)

const upMS = 2*3600_000 + 12*60_000 // so long does the fake broker claim to run

func id(n int) string { return fmt.Sprintf("0198c0de-0000-7000-8000-%012d", n) }

func ago(d time.Duration) time.Time { return started.Add(upMS*time.Millisecond - d) }

// A fake answers as a broker's admin listener does, with fixed data, and writes
// down what it is asked to change.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	status   adminapi.Status
	services []adminapi.Service
	workers  []adminapi.Worker
	failures []adminapi.Failure
	dead     []adminapi.DeadLetter
	open     adminapi.Requests
	stories  map[string]adminapi.Why
	token    string // if any, it must be in each call
	gone     bool   // hangs up on whoever calls
	refuse   *adminapi.Error
	calls    []string    // those that change something
	bare     []string    // those of them without the header
	asked    []time.Time // calls of status, the refused ones too
}

// with calls fn while nobody else is at the data.
func (f *fake) with(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (f *fake) made() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func newFake(t *testing.T) *fake {
	f := &fake{stories: map[string]adminapi.Why{}}
	f.fill()
	mux := http.NewServeMux()
	get := func(path string, answer func(r *http.Request) any) {
		mux.HandleFunc("GET "+adminapi.Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if path == "/status" {
				f.asked = append(f.asked, time.Now())
			}
			f.answer(w, r, answer)
		})
	}
	change := func(method, path string, do func(r *http.Request) any) {
		mux.HandleFunc(method+" "+adminapi.Prefix+path, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			call := method + " " + r.URL.EscapedPath()
			f.calls = append(f.calls, strings.Replace(call, adminapi.Prefix, "", 1))
			if r.Header.Get(adminapi.Header) == "" {
				f.bare = append(f.bare, call)
			}
			f.answer(w, r, do)
		})
	}
	get("/status", func(*http.Request) any { return f.status })
	get("/services", func(*http.Request) any { return f.services })
	get("/workers", func(*http.Request) any { return f.workers })
	get("/failures", func(*http.Request) any { return f.failures })
	get("/dead", func(*http.Request) any { return f.dead })
	get("/dead/{id}", func(r *http.Request) any {
		for _, d := range f.dead {
			if d.ID == r.PathValue("id") {
				d.Frames = []string{base64.StdEncoding.EncodeToString([]byte(hostile + "\n\u202egnp")), "AAH/", ""}
				return d
			}
		}
		return nil
	})
	get("/requests", func(*http.Request) any { return f.open })
	change("POST", "/requests/{id}/cancel", func(r *http.Request) any {
		f.open.Requests = slices.DeleteFunc(f.open.Requests, func(o adminapi.Request) bool { return o.ID == r.PathValue("id") })
		return http.NoBody
	})
	get("/requests/{id}", func(r *http.Request) any {
		if why, ok := f.stories[r.PathValue("id")]; ok {
			return why
		}
		return nil
	})
	change("POST", "/services/{name}/pause", func(r *http.Request) any { return f.pause(r.PathValue("name"), true) })
	change("POST", "/services/{name}/resume", func(r *http.Request) any { return f.pause(r.PathValue("name"), false) })
	change("POST", "/dead/{id}/requeue", func(r *http.Request) any {
		f.bury(r.PathValue("id"))
		return adminapi.Requeued{ID: id(777)}
	})
	change("DELETE", "/dead/{id}", func(r *http.Request) any {
		f.bury(r.PathValue("id"))
		return http.NoBody
	})
	mux.Handle("/", Handler())
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// answer writes what do returns; nil is a 404, http.NoBody a 204. f is locked.
func (f *fake) answer(w http.ResponseWriter, r *http.Request, do func(*http.Request) any) {
	status, body := http.StatusOK, any(nil)
	switch {
	case f.gone:
		panic(http.ErrAbortHandler)
	case f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token:
		status, body = http.StatusUnauthorized, adminapi.Error{Code: adminapi.CodeUnauthorized, Message: "the token is missing or wrong"}
	case f.refuse != nil && r.Method != http.MethodGet:
		status, body = http.StatusServiceUnavailable, *f.refuse
	default:
		if body = do(r); body == nil {
			status, body = http.StatusNotFound, adminapi.Error{Code: adminapi.CodeNotFound, Message: "no such request"}
		}
	}
	if body == http.NoBody {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who hung up does not read it
}

func (f *fake) pause(name string, paused bool) any {
	for i := range f.services {
		if f.services[i].Name == name {
			f.services[i].Paused = paused
			return http.NoBody
		}
	}
	return nil
}

func (f *fake) bury(id string) {
	f.dead = slices.DeleteFunc(f.dead, func(d adminapi.DeadLetter) bool { return d.ID == id })
	f.status.DeadLetters = len(f.dead)
}

// fill gives it a night's worth of small trouble.
func (f *fake) fill() {
	f.services = []adminapi.Service{
		{Name: hostile, Queued: 31, OldestMS: 700, Running: 2, Workers: 2, Done: 91, Failed: 1},
		{Name: "mail/outbox", Queued: 9, OldestMS: 42_000, Workers: 2, Paused: true, Done: 5120, Failed: 12,
			RecentDone: 61, RecentFailed: 60, Failing: true},
		{Name: "resize", Queued: 412, OldestMS: 191_000, Done: 88_041, Failed: 97},
		{Name: "sum", Running: 3, Workers: 4, Done: 1_204_377,
			RunMS: 420_000, RunID: id(13), RunWorker: "a1b2c3d4e5f60718", RunP99MS: 16, HangAfterMS: 10_000, Hanging: true},
	}
	f.workers = []adminapi.Worker{
		{Worker: "a1b2c3d4e5f60718", Dialect: "PRV1", State: "up", Services: []string{"sum", hostile}, Credit: 2, Running: 2, BusyMS: 73_000, SeenMS: 310},
		{Worker: "00000000000000ff", Dialect: "PRV1", State: "suspected", Services: []string{"mail/outbox"}, Running: 1, BusyMS: 9100, SeenMS: 7400},
		{Worker: "1111111111111111", Dialect: "MDP 0.2", State: "up", Services: []string{"sum"}, Credit: 4, SeenMS: 90},
	}
	f.failures = []adminapi.Failure{
		{At: ago(12 * time.Second), ID: id(1), Service: "resize", Code: "EXPIRED", Reason: "its deadline passed while it waited in the queue"},
		{At: ago(14 * time.Second), ID: id(2), Service: "resize", Code: "EXPIRED", Reason: "its deadline passed while it waited in the queue"},
		{At: ago(95 * time.Second), ID: id(3), Service: hostile, Code: "FAILED", Reason: hostile},
		{At: ago(31 * time.Minute), ID: id(4), Service: "mail/outbox", Code: "WORKER_LOST", Reason: "worker 00000000000000fe was lost"},
	}
	f.dead = []adminapi.DeadLetter{
		{ID: id(5), Service: "mail/outbox", Code: "WORKER_LOST", Reason: "lost 3 workers", Attempts: 3,
			Workers: []string{"00000000000000fc", "00000000000000fd", "00000000000000fe"}, Since: ago(31 * time.Minute), AgeMS: 31 * 60_000, Bytes: 18_730},
		{ID: id(6), Service: hostile, Code: "FAILED", Reason: hostile, Attempts: 5, Since: ago(4 * time.Minute), AgeMS: 4 * 60_000, Bytes: 512},
	}
	f.open = adminapi.Requests{More: true, Requests: []adminapi.Request{
		{ID: id(11), Service: hostile, State: "assigned", AgeMS: 423_000, LeftMS: 60_000, Attempt: 1, Worker: "a1b2c3d4e5f60718", HeldMS: 422_000, Started: true, Clients: 1},
		{ID: id(12), Service: "resize", State: "queued", AgeMS: 191_000, LeftMS: 9_000, Clients: 1},
	}}
	f.status = adminapi.Status{Version: "v0.9.0", Commit: "abcdef0", Epoch: "7f3a9c0e11d2b456", Started: started, UptimeMS: upMS,
		Open: 430, Queued: 422, Running: 5, OldestMS: 191_000, Workers: 3, Services: 4, DeadLetters: len(f.dead), IDs: 1900,
		Outcomes: map[string]uint64{"OK": 1_297_500, "EXPIRED": 97, "FAILED": 13}, LoopLagMS: 1.4, Busy: 0.12}
	f.stories[id(1)] = adminapi.Why{ID: id(1), State: "done", Service: hostile, Code: "EXPIRED", Certainty: "NOT_STARTED",
		Answer: "It expired: no worker of resize was there for 30 s. " + hostile, Attempt: 1, AgeMS: 42_000, Steps: []adminapi.Step{
			{At: ago(42 * time.Second), AgoMS: 42_000, What: "accepted", Text: "accepted; 411 waited before it"},
			{At: ago(30 * time.Second), AgoMS: 30_000, What: "assigned", Text: "handed to a worker", Worker: "00000000000000fe", Attempt: 1},
			{At: ago(12 * time.Second), AgoMS: 12_000, What: "expired", Text: "its deadline passed " + hostile, Code: "EXPIRED"},
		}}
	f.stories[id(777)] = adminapi.Why{ID: id(777), State: "queued", Service: "mail/outbox", Behind: 9, AgeMS: 200, LeftMS: 29_800, Clients: 0,
		Answer: "It has waited 0.2 s in the queue of mail/outbox, behind 9 others: the service is paused.", Steps: []adminapi.Step{
			{At: ago(200 * time.Millisecond), AgoMS: 200, What: "accepted", Text: "queued again, from the dead letter " + id(5)},
		}}
}

// load gives it more rows than anybody reads.
func (f *fake) load() {
	f.services, f.workers, f.failures, f.dead = nil, nil, nil, nil
	for i := range 120 {
		f.services = append(f.services, adminapi.Service{Name: fmt.Sprintf("tenant-%03d.billing.invoices.render-as-a-rather-long-name", i),
			Queued: i * 7, OldestMS: int64(i) * 311, Running: i % 9, Workers: i % 5, Paused: i%31 == 30, Done: uint64(i) * 77_003, Failed: uint64(i) * 3})
	}
	states := []string{"up", "up", "up", "draining", "up", "suspected", "joining"}
	for i := range 400 {
		f.workers = append(f.workers, adminapi.Worker{Worker: fmt.Sprintf("%016x", 0xfeed0000+i), Dialect: "PRV1", State: states[i*i%len(states)],
			Services: []string{f.services[i%120].Name, f.services[(i+1)%120].Name}, Credit: i % 4, Running: i % 3, BusyMS: int64(i%3) * int64(i) * 97, SeenMS: int64(i)})
	}
	codes := []string{"EXPIRED", "EXPIRED", "FAILED", "TIMEOUT", "WORKER_LOST"}
	for i := range 100 {
		f.failures = append(f.failures, adminapi.Failure{At: ago(time.Duration(i) * 700 * time.Millisecond), ID: id(1000 + i),
			Service: f.services[i*i%11].Name, Code: codes[i%5], Reason: "the handler said: connection refused by db-17.internal:5432 after 3 tries"})
	}
	for i := range 60 {
		f.dead = append(f.dead, adminapi.DeadLetter{ID: id(2000 + i), Service: f.services[i].Name, Code: "WORKER_LOST", Reason: "lost 3 workers", Attempts: 3,
			Workers: []string{"00000000000000fc", "00000000000000fd", "00000000000000fe"}, AgeMS: int64(60-i) * 61_000, Bytes: 1000 * i * i})
	}
	f.open.Requests = nil
	for i := range 200 {
		f.open.Requests = append(f.open.Requests, adminapi.Request{ID: id(3000 + i), Service: f.services[i%120].Name, State: "queued", AgeMS: int64(200-i) * 90, LeftMS: 30_000, Clients: 1})
	}
	f.status.Queued, f.status.Open, f.status.OldestMS, f.status.Workers, f.status.Services, f.status.DeadLetters = 49_980, 50_410, 37_009, 400, 120, 60
	f.status.LoopLagMS, f.status.Busy, f.status.Draining = 240, 0.97, true
}
