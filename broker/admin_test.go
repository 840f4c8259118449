package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// An admin is a broker with its listener, in real time, and somebody who asks.
type admin struct {
	*rig
	t     *testing.T
	url   string
	token string
}

func startAdmin(t *testing.T, cfg broker.Config) *admin {
	t.Helper()
	if cfg.Admin == "" {
		cfg.Admin = "127.0.0.1:0"
	}
	r := start(t, cfg)
	t.Cleanup(r.end)
	return &admin{rig: r, t: t, url: "http://" + r.broker.AdminAddr()}
}

// call does one call, with the header that changes need, and returns the status
// and the body.
func (a *admin) call(method, path, body string, change ...func(*http.Request)) (int, string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set(adminapi.Header, "1")
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	for _, f := range change {
		f(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// get reads v from a call that must go well.
func (a *admin) get(path string, v any) {
	a.t.Helper()
	status, body := a.call(http.MethodGet, adminapi.Prefix+path, "")
	if status != http.StatusOK {
		a.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		a.t.Fatalf("GET %s: %v: %s", path, err, body)
	}
}

func (a *admin) want(wantStatus int, wantCode, method, path, body string, change ...func(*http.Request)) {
	a.t.Helper()
	status, got := a.call(method, path, body, change...)
	var e adminapi.Error
	_ = json.Unmarshal([]byte(got), &e) // "" where there is none
	if status != wantStatus || e.Code != wantCode {
		a.t.Errorf("%s %s: %d %s, want %d with code %q", method, path, status, got, wantStatus, wantCode)
	}
}

func (a *admin) eventually(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("not within 10s: %s", what)
		}
	}
}

// TestAdminStory: what is shown of a queue, a worker, a request in its hands, a
// paused service, a cancelled request and a dead letter, and what can be done.
func TestAdminStory(t *testing.T) {
	a := startAdmin(t, broker.Config{MaxAttempts: 1})
	gate := make(chan struct{})
	stop := a.worker(worker.Config{Services: []string{"gate"}}, worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		if string(r.Body()) == "poison" {
			return nil, worker.Retry(fmt.Errorf("not today"))
		}
		select {
		case <-gate:
			return []byte("ok"), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}))
	defer stop()
	p := a.pipeline(client.Config{})
	defer p.Close()
	first := p.Go(t.Context(), client.Request{Service: "gate", Body: []byte("1")})
	var services []adminapi.Service
	a.eventually("one runs", func() bool {
		a.get("/services", &services)
		return len(services) == 1 && services[0].Running == 1
	})
	second := p.Go(t.Context(), client.Request{Service: "gate", Body: []byte("2")})
	a.eventually("one waits", func() bool {
		a.get("/services", &services)
		return services[0].Queued == 1
	})
	if s := services[0]; s.Name != "gate" || s.Workers != 1 || s.Paused || s.OldestMS < 0 {
		t.Errorf("service %+v", s)
	}
	var workers []adminapi.Worker
	a.get("/workers", &workers)
	if len(workers) != 1 || workers[0].State != "up" || workers[0].Dialect != "prv1" || workers[0].Running != 1 || len(workers[0].Worker) != 16 {
		t.Errorf("workers %+v", workers)
	}
	var open adminapi.Requests
	a.get("/requests", &open)
	if len(open.Requests) != 2 || open.More {
		t.Fatalf("open requests %+v", open)
	}
	if one, two := open.Requests[0], open.Requests[1]; one.State != "assigned" || one.Worker != workers[0].Worker || one.Attempt != 1 || one.Clients != 1 ||
		two.State != "queued" || two.Service != "gate" || two.Worker != "" || two.LeftMS == 0 {
		t.Errorf("open requests %+v", open)
	}
	if held := workers[0].Requests; len(held) != 1 || held[0] != open.Requests[0].ID {
		t.Errorf("the worker holds %v", held)
	}
	secondID := open.Requests[1].ID
	a.get("/requests?state=assigned&service=gate&older_than_ms=0&limit=10", &open)
	if len(open.Requests) != 1 || open.Requests[0].State != "assigned" {
		t.Errorf("assigned ones: %+v", open)
	}
	a.get("/requests?limit=1", &open)
	if len(open.Requests) != 1 || !open.More {
		t.Errorf("one of them: %+v", open)
	}
	a.get("/requests?service=another", &open)
	if len(open.Requests) != 0 {
		t.Errorf("of another service: %+v", open)
	}
	var why adminapi.Why
	a.get("/requests/"+secondID, &why)
	if why.State != "queued" || !strings.Contains(why.Answer, "the one live worker is busy") || len(why.Steps) == 0 || why.Steps[0].What != "accepted" {
		t.Errorf("why: %+v", why)
	}

	a.want(204, "", "POST", "/api/v1/services/gate/pause", "")
	close(gate)
	if r, err := first.Reply(); err != nil || string(r.Body()) != "ok" {
		t.Fatal(err)
	}
	a.get("/requests/"+secondID, &why)
	if !strings.Contains(why.Answer, "the service is paused") {
		t.Errorf("why, paused: %q", why.Answer)
	}
	a.want(204, "", "POST", "/api/v1/requests/"+secondID+"/cancel", "")
	if _, err := second.Reply(); err == nil || !strings.Contains(err.Error(), "operator") {
		t.Errorf("cancelled: %v", err)
	}
	a.want(404, "not_found", "POST", "/api/v1/requests/"+secondID+"/cancel", "")
	a.want(204, "", "POST", "/api/v1/services/gate/resume", "")

	_, err := p.Do(t.Context(), client.Request{Service: "gate", Body: []byte("poison")})
	if err == nil {
		t.Fatal("the poison was no poison")
	}
	var dead []adminapi.DeadLetter
	a.get("/dead", &dead)
	if len(dead) != 1 || dead[0].Service != "gate" || dead[0].Code != "FAILED" || !strings.Contains(dead[0].Reason, "not today") || dead[0].Bytes != 6 || dead[0].Frames != nil {
		t.Fatalf("dead letters %+v", dead)
	}
	var one adminapi.DeadLetter
	a.get("/dead/"+dead[0].ID, &one)
	if len(one.Frames) != 1 || one.Frames[0] != "cG9pc29u" {
		t.Errorf("dead letter %+v", one)
	}
	a.get("/requests/"+dead[0].ID, &why)
	if !why.Dead || why.State != "done" || !strings.Contains(why.Answer, "dead letter") || why.Steps[len(why.Steps)-1].What != "finished" {
		t.Errorf("why, dead: %+v", why)
	}
	var failures []adminapi.Failure
	a.get("/failures", &failures)
	if len(failures) != 2 || failures[0].Code != "FAILED" || failures[1].Code != "CANCELLED" {
		t.Errorf("failures %+v", failures)
	}
	status, body := a.call("POST", "/api/v1/dead/"+dead[0].ID+"/requeue", "")
	var fresh adminapi.Requeued
	if err := json.Unmarshal([]byte(body), &fresh); status != 200 || err != nil || fresh.ID == dead[0].ID {
		t.Errorf("requeue: %d %s", status, body)
	}
	a.eventually("it is dead again", func() bool { a.get("/dead", &dead); return len(dead) == 1 && dead[0].ID == fresh.ID })
	a.want(204, "", "DELETE", "/api/v1/dead/"+fresh.ID, "")
	a.want(404, "not_found", "DELETE", "/api/v1/dead/"+fresh.ID, "")
	var st adminapi.Status
	a.get("/status", &st)
	if st.DeadLetters != 0 || st.Outcomes["OK"] != 1 || st.Outcomes["FAILED"] != 2 || st.Version != "dev" || st.Draining {
		t.Errorf("status %+v", st)
	}
}

// TestAdminFailing: a service whose requests all fail is said to fail, by its name;
// how long its longest run lasts is told with its id and worker.
func TestAdminFailing(t *testing.T) {
	a := startAdmin(t, broker.Config{})
	stop := a.worker(worker.Config{Services: []string{"bad"}, Concurrency: 2}, worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		if string(r.Body()) == "hang" {
			<-ctx.Done()
		}
		return nil, fmt.Errorf("no")
	}))
	defer stop()
	p := a.pipeline(client.Config{})
	defer p.Close()
	for range 5 {
		if _, err := p.Do(t.Context(), client.Request{Service: "bad"}); err == nil {
			t.Fatal("it did not fail")
		}
	}
	p.Go(t.Context(), client.Request{Service: "bad", Body: []byte("hang"), Deadline: time.Minute})
	var services []adminapi.Service
	a.eventually("it runs", func() bool { a.get("/services", &services); return services[0].RunMS > 50 })
	var open adminapi.Requests
	a.get("/requests", &open)
	s := services[0]
	if !s.Failing || s.RecentDone != 5 || s.RecentFailed != 5 || s.Hanging || s.HangAfterMS != 60_000 || s.RunID != open.Requests[0].ID || s.RunWorker != open.Requests[0].Worker {
		t.Errorf("%+v, open %+v", s, open)
	}
	if words := s.Troubles(); len(words) != 1 || words[0] != "failing" {
		t.Errorf("in words: %q", words)
	}
	_, text := a.call("GET", "/metrics", "")
	if !strings.Contains(text, `privateer_run_oldest_seconds{service="bad"} 0.`) || !strings.Contains(text, `privateer_run_hanging_after_seconds{service="bad"} 60`+"\n") {
		t.Errorf("the metrics do not have the run:\n%s", text)
	}
}

// TestAdminRefuses: bad calls get a JSON error with a stable code.
func TestAdminRefuses(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("\ufeff0123456789abcdef\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startAdmin(t, broker.Config{AdminTokenFile: token})
	unknown := protocol.ID{1: 7}.String()
	a.want(401, "unauthorized", "GET", "/api/v1/status", "")
	a.want(401, "unauthorized", "GET", "/metrics", "")
	a.token = "0123456789abcdeX"
	a.want(401, "unauthorized", "POST", "/api/v1/drain", "")
	a.token = "0123456789abcdef"
	a.want(200, "", "GET", "/api/v1/status", "")
	noHeader := func(r *http.Request) { r.Header.Del(adminapi.Header) }
	a.want(403, "forbidden", "POST", "/api/v1/drain", "", noHeader)
	a.want(403, "forbidden", "DELETE", "/api/v1/dead/"+unknown, "", noHeader)
	a.want(403, "forbidden", "GET", "/api/v1/status", "", func(r *http.Request) { r.Host = "evil.example" })
	a.want(200, "", "GET", "/api/v1/status", "", func(r *http.Request) { r.Host = "localhost:1" })
	a.want(404, "not_found", "GET", "/api/v1/requests/"+unknown, "")
	a.want(400, "bad_request", "GET", "/api/v1/requests/17", "")
	a.want(400, "bad_request", "GET", "/api/v1/requests?state=lost", "")
	a.want(400, "bad_request", "GET", "/api/v1/requests?service=", "")
	a.want(400, "bad_request", "GET", "/api/v1/requests?service=%ff", "")
	a.want(400, "bad_request", "GET", "/api/v1/requests?older_than_ms=-1", "")
	a.want(400, "bad_request", "GET", "/api/v1/requests?limit=1001", "")
	a.want(404, "not_found", "GET", "/api/v1/nothing", "")
	a.want(405, "method", "PUT", "/api/v1/status", "")
	a.want(405, "method", "GET", "/api/v1/dead/"+unknown+"/requeue", "")
	a.want(404, "not_found", "POST", "/api/v1/services/none/pause", "")
	a.want(404, "not_found", "POST", "/api/v1/dead/"+unknown+"/requeue", "")
	a.want(400, "bad_request", "PUT", "/api/v1/log-level", "{")
	a.want(400, "bad_request", "PUT", "/api/v1/log-level", `{"level":"loud"}`)
	a.want(413, "too_large", "PUT", "/api/v1/log-level", `{"level":"`+strings.Repeat("x", 5000)+`"}`)
	a.want(204, "", "PUT", "/api/v1/log-level", `{"level":"debug"}`)
	var level adminapi.LogLevel
	a.get("/log-level", &level)
	if level.Level != "debug" {
		t.Errorf("level %q", level.Level)
	}
	a.want(204, "", "PUT", "/api/v1/log-level", `{"level":"off"}`)
	a.want(200, "", "GET", "/livez", "")
	a.want(404, "", "GET", "/debug/pprof/", "")
	a.token = ""
	if status, page := a.call("GET", "/", ""); status != 200 || !strings.Contains(page, "<title>") {
		t.Errorf("the page: %d %.200s", status, page)
	}
}

// TestAdminConfig: what must not be.
func TestAdminConfig(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	two := filepath.Join(t.TempDir(), "two")
	if err := os.WriteFile(two, []byte("0123456789abcdef\nfedcba9876543210\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]broker.Config{
		"AdminTokenFile":           {Admin: "127.0.0.1:0", AdminTokenFile: filepath.Join(t.TempDir(), "none")},
		"has 2 lines":              {Admin: "127.0.0.1:0", AdminTokenFile: two},
		"at least 16":              {Admin: "127.0.0.1:0", AdminTokenFile: short},
		"needs a token":            {Admin: "0.0.0.0:0"},
		"address already in use":   {Admin: taken.Addr().String()},
		"Config.RecorderSteps is ": {RecorderSteps: -1},
	} {
		c.Frontends, c.Backends = []string{"mem://f-" + t.Name()}, []string{"mem://b-" + t.Name()}
		b, err := broker.New(c)
		if err == nil {
			err = b.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v, want %q", c, err, name)
		}
	}
}

// TestAdminDrain: /readyz turns at once, and the listener closes last.
func TestAdminDrain(t *testing.T) {
	a := startAdmin(t, broker.Config{DrainTimeout: 2 * time.Second})
	p := a.pipeline(client.Config{})
	defer p.Close()
	held := p.Go(t.Context(), client.Request{Service: "nobody", Deadline: 3 * time.Second})
	a.eventually("it is queued", func() bool { var s adminapi.Status; a.get("/status", &s); return s.Queued == 1 })
	a.want(200, "", "GET", "/readyz", "")
	a.want(202, "", "POST", "/api/v1/drain", "")
	a.want(503, "", "GET", "/readyz", "")
	var s adminapi.Status
	a.get("/status", &s)
	if !s.Draining {
		t.Error("it does not say that it drains")
	}
	a.want(200, "", "GET", "/livez", "")
	if _, err := held.Reply(); err == nil {
		t.Error("a held request got a reply")
	}
}

// TestAdminCancelService: what is open of a service is withdrawn, whatever there is of it,
// and of no other.
func TestAdminCancelService(t *testing.T) {
	a := startAdmin(t, broker.Config{})
	p := a.pipeline(client.Config{})
	defer p.Close()
	const asked = 1000
	var calls []*client.Call
	for range asked {
		calls = append(calls, p.Go(t.Context(), client.Request{Service: "flooded", Deadline: time.Hour}))
	}
	p.Go(t.Context(), client.Request{Service: "other", Deadline: time.Hour})
	var st adminapi.Status
	a.eventually("all wait", func() bool { a.get("/status", &st); return st.Queued == asked+1 })
	status, body := a.call("POST", "/api/v1/services/flooded/cancel", "")
	if want := fmt.Sprintf(`{"cancelled":%d,"more":false}`, asked); status != 200 || strings.TrimSpace(body) != want {
		t.Errorf("%d %s, want %s", status, body, want)
	}
	for _, c := range calls {
		if _, err := c.Reply(); err == nil || !strings.Contains(err.Error(), "operator") {
			t.Fatalf("cancelled: %v", err)
		}
	}
	a.want(404, "not_found", "POST", "/api/v1/services/flooded/cancel", "")
	if a.get("/status", &st); st.Open != 1 {
		t.Errorf("%d are open, want one", st.Open)
	}
}
