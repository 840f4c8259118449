package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

// The ids of the fake admin listener's data.
const (
	knownID = "0190b5a2-7c1e-7000-8000-000000000001"
	deadID  = "0190b5a2-7c1e-7000-8000-00000000000d"
	freshID = "0190b5a2-7c1e-7000-8000-00000000000f"
)

// A fakeAdmin answers as a broker's admin listener does, always the same.
type fakeAdmin struct {
	mu     sync.Mutex
	server *httptest.Server
	asked  string // a file: the calls that change something
	token  string
	delay  time.Duration
	status adminapi.Status
	empty  bool
	stuck  bool // never gone

	full     bool // has no room for what is queued again
	cancels  int  // of a service
	troubled bool // its services hang and fail
	left     int  // calls until it is gone, once it drains
	level    string
}

// admin [token=TOKEN] [delay=TIME] [empty] [calm] [troubled] [stuck]: starts a fake admin listener
// at $ADMIN. It answers after delay, has nothing if empty, and nothing to
// complain of if calm; troubled services hang and fail. The calls that change something are in the file "asked".
func admin(ts *testscript.TestScript, _ bool, args []string) {
	f := &fakeAdmin{asked: ts.MkAbs("asked"), status: fakeStatus(), left: 8, level: "info"}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "token":
			f.token = value
		case "delay":
			d, err := time.ParseDuration(value)
			ts.Check(err)
			f.delay = d
		case "empty":
			f.empty, f.status = true, adminapi.Status{Version: "1.2.3", Epoch: "00000000000000aa", UptimeMS: 900}
		case "calm":
			f.status.LoopLagMS, f.status.DeadLetters = 52.594999999999996, 0
		case "troubled":
			f.troubled = true
		case "full":
			f.full = true
		case "stuck":
			f.stuck = true
		default:
			ts.Fatalf("unknown: %s", arg)
		}
	}
	ts.Check(os.WriteFile(f.asked, nil, 0o600))
	f.server = httptest.NewUnstartedServer(f)
	f.server.Start() // only now: answer reads f.server
	ts.Defer(f.server.Close)
	ts.Setenv("ADMIN", f.server.Listener.Addr().String())
}

// listening NAME: $ADMIN is the admin listener of a started broker.
func listening(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value(processesKey{}).(map[string]*process)[args[0]]
	address := adminOf(p.stderr.String())
	if address == "" {
		ts.Fatalf("%s has no admin listener:\n%s", args[0], p.stderr.String())
	}
	ts.Setenv("ADMIN", address)
}

// adminOf finds the admin listener in a broker's log.
func adminOf(log string) string {
	for line := range strings.Lines(log) {
		var entry struct{ Admin string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Admin != "" {
			return entry.Admin
		}
	}
	return ""
}

// website: starts a web server at $ADMIN.
func website(ts *testscript.TestScript, _ bool, _ []string) {
	s := httptest.NewServer(http.NotFoundHandler())
	ts.Defer(s.Close)
	ts.Setenv("ADMIN", s.Listener.Addr().String())
}

// ServeHTTP makes one answer.
func (f *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(f.delay)
	f.mu.Lock()
	defer f.mu.Unlock()
	refuse := func(status int, code, message string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(adminapi.Error{Code: code, Message: message})
	}
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		refuse(http.StatusUnauthorized, adminapi.CodeUnauthorized, "a token is needed")
		return
	}
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, adminapi.Prefix)
	if r.Method != http.MethodGet {
		if r.Header.Get(adminapi.Header) == "" {
			refuse(http.StatusForbidden, adminapi.CodeForbidden, "the header is missing")
			return
		}
		body, _ := io.ReadAll(r.Body)
		f.note(strings.TrimSpace(call + " " + string(body)))
		f.change(w, call, body, refuse)
		return
	}
	if r.URL.RawQuery != "" {
		f.note(call + "?" + r.URL.RawQuery)
	}
	if v := f.answer(call); v != nil {
		_ = json.NewEncoder(w).Encode(v)
		return
	}
	refuse(http.StatusNotFound, adminapi.CodeNotFound, "nothing is known of it")
}

func (f *fakeAdmin) note(line string) {
	file, err := os.OpenFile(f.asked, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return // the script is over
	}
	defer file.Close()
	fmt.Fprintln(file, line)
}

// change makes the calls that change something.
func (f *fakeAdmin) change(w http.ResponseWriter, call string, body []byte, refuse func(int, string, string)) {
	switch call {
	case "POST /services/hash/pause", "POST /services/hash/resume", "POST /requests/" + knownID + "/cancel", "DELETE /dead/" + deadID:
		w.WriteHeader(http.StatusNoContent)
	case "POST /services/hash/cancel":
		f.cancels++
		_ = json.NewEncoder(w).Encode(adminapi.Cancelled{Cancelled: []int{2500, 0, 1}[f.cancels%3], More: f.cancels%3 > 0})
	case "POST /dead/" + knownID + "/requeue":
		if f.full {
			refuse(http.StatusConflict, adminapi.CodeNoRoom, "the queue is full")
			return
		}
		_ = json.NewEncoder(w).Encode(adminapi.Requeued{ID: "0190b5a2-7c1e-7000-8000-00000000001f"})
	case "POST /dead/" + deadID + "/requeue":
		_ = json.NewEncoder(w).Encode(adminapi.Requeued{ID: freshID})
	case "POST /drain":
		f.status.Draining = true
		w.WriteHeader(http.StatusAccepted)
	case "PUT /log-level":
		var l adminapi.LogLevel
		_ = json.Unmarshal(body, &l)
		if l.Level != "debug" && l.Level != "disabled" {
			refuse(http.StatusBadRequest, adminapi.CodeBadRequest, "level is "+l.Level)
			return
		}
		f.level = l.Level
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(http.StatusNotFound, adminapi.CodeNotFound, "there is none")
	}
}

// answer is what a GET is answered; nil: there is no such thing.
func (f *fakeAdmin) answer(call string) any {
	switch call {
	case "GET /status":
		if f.status.Draining && !f.stuck {
			if f.left--; f.left == 0 {
				f.server.Listener.Close()
				f.server.Config.SetKeepAlivesEnabled(false)
			}
			f.status.Open, f.status.Running = f.left, min(f.left, 3)
		}
		return f.status
	case "GET /services":
		if f.troubled {
			return fakeTroubled()
		}
		return orEmpty(f.empty, fakeServices())
	case "GET /workers":
		return orEmpty(f.empty, fakeWorkers())
	case "GET /dead":
		return orEmpty(f.empty, fakeDead(false))
	case "GET /dead/" + deadID:
		return fakeDead(true)[0]
	case "GET /requests":
		if f.empty {
			return adminapi.Requests{Requests: []adminapi.Request{}}
		}
		return fakeRequests()
	case "GET /requests/" + knownID:
		return fakeWhy()
	case "GET /log-level":
		return adminapi.LogLevel{Level: f.level}
	}
	return nil
}

func orEmpty[T any](empty bool, list []T) []T {
	if empty {
		return []T{}
	}
	return list
}
