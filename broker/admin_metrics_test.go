package broker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/worker"
)

// The connections are counted, and why those were cut that were.
func TestLinkMetrics(t *testing.T) {
	a := startAdmin(t, broker.Config{Transport: "zmtp", Frontends: []string{"tcp://127.0.0.1:0"}, Backends: []string{"tcp://127.0.0.1:0"}})
	front, _ := a.broker.Addrs()
	k, err := client.New(client.Config{Transport: "zmtp", Brokers: []string{front}})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Dial("tcp", strings.TrimPrefix(front, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Read(make([]byte, 1)); err == nil {
		if _, err = io.Copy(io.Discard, stranger); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	}
	_, text := a.call("GET", "/metrics", "")
	for _, line := range []string{
		`privateer_connections{port="front"} 1`, `privateer_connections{port="back"} 0`, `privateer_handshakes{port="back"} 0`,
		`privateer_link_bytes{port="front",way="unfinished"} 0`, `privateer_connections_accepted_total{port="front"} 2`,
		`privateer_connections_cut_total{port="front",reason="bad_handshake"} 1`, `privateer_peer_full_total{port="back"} 0`,
		`privateer_accepting_pauses_total{port="back"} 0`, `privateer_connections_cut_total{port="back",reason="silent"} 0`,
		`privateer_read_pauses_total{port="front"} 0`, `privateer_connections_cut_total{port="front",reason="taken_id"} 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	operating, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`privateer_connections_cut_total\{port="front",reason="(\w+)"\}`).FindAllStringSubmatch(text, -1)
	if len(reasons) < 8 {
		t.Fatalf("reasons %q", reasons)
	}
	for _, reason := range reasons {
		if !strings.Contains(string(operating), "`"+reason[1]+"`") {
			t.Errorf("docs/operating.md does not say what %s means", reason[1])
		}
	}
}

// TestMetrics: each is there, and those that documents name exist.
func TestMetrics(t *testing.T) {
	a := startAdmin(t, broker.Config{MaxIDs: 50, MaxPeers: 4, MaxServices: 10})
	stop := a.worker(worker.Config{Services: []string{"echo"}}, worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
	defer stop()
	p := a.pipeline(client.Config{})
	defer p.Close()
	if _, err := p.Do(t.Context(), client.Request{Service: "echo", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	_, text := a.call("GET", "/metrics", "")
	for _, line := range []string{
		`privateer_requests_total{outcome="ok",service="echo"} 1`, `privateer_queue_depth{service="echo"} 0`,
		`privateer_queue_oldest_seconds{service="echo"} 0`, `privateer_request_duration_seconds_count{service="echo"} 1`,
		`privateer_request_wait_seconds_count{service="echo"} 1`, `privateer_workers{state="up"} 1`, `privateer_service_workers{service="echo"} 1`,
		`privateer_late_replies_total 0`, `privateer_false_suspicions_total 0`, `privateer_replays_total 0`, `privateer_undeliverable_total 0`,
		`privateer_dead_letters 0`, `privateer_dead_bytes 0`, `privateer_draining 0`,
		`privateer_refused_total{outcome="overloaded"} 0`, `privateer_bound_used_ratio{bound="requests"} 0`, `privateer_bound_used_ratio{bound="bytes"} 0`,
		`privateer_bound_used_ratio{bound="ids"} 0.02`, `privateer_bound_used_ratio{bound="workers"} 0.25`, `privateer_bound_used_ratio{bound="services"} 0.1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	have := map[string]bool{}
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		if name, ok := strings.CutPrefix(scan.Text(), "# TYPE "); ok {
			have[strings.Fields(name)[0]] = true
		}
	}
	for _, name := range []string{"privateer_loop_lag_seconds", "privateer_loop_busy_ratio", "privateer_build_info", "process_open_fds", "go_goroutines", "privateer_ids"} {
		if !have[name] {
			t.Errorf("no metric %s", name)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestOpenAPI: the document has every route and no other, and its schemas have
// the fields of the Go types.
func TestOpenAPI(t *testing.T) {
	var doc struct {
		Paths      map[string]map[string]any
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(adminapi.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	var told []string
	for path, methods := range doc.Paths {
		for method := range methods {
			told = append(told, strings.ToUpper(method)+" "+strings.TrimPrefix(path, adminapi.Prefix))
		}
	}
	served := broker.AdminRoutes()
	sort.Strings(told)
	sort.Strings(served)
	if !reflect.DeepEqual(told, served) {
		t.Errorf("told:\n%s\nserved:\n%s", strings.Join(told, "\n"), strings.Join(served, "\n"))
	}
	types := map[string]any{"Status": adminapi.Status{}, "Service": adminapi.Service{}, "Worker": adminapi.Worker{}, "Why": adminapi.Why{},
		"Step": adminapi.Step{}, "Failure": adminapi.Failure{}, "DeadLetter": adminapi.DeadLetter{}, "Requeued": adminapi.Requeued{},
		"Request": adminapi.Request{}, "Requests": adminapi.Requests{}, "Cancelled": adminapi.Cancelled{}, "LogLevel": adminapi.LogLevel{}, "Error": adminapi.Error{}}
	for name, schema := range doc.Components.Schemas {
		v, ok := types[name]
		if !ok {
			t.Errorf("schema %s is no type", name)
			continue
		}
		delete(types, name)
		all, required := fieldsOf(v)
		var told []string
		for p := range schema.Properties {
			told = append(told, p)
		}
		sort.Strings(told)
		sort.Strings(schema.Required)
		if !reflect.DeepEqual(told, all) || !reflect.DeepEqual(schema.Required, required) {
			t.Errorf("%s: told %v, required %v; the type has %v, %v", name, told, schema.Required, all, required)
		}
	}
	if len(types) > 0 {
		t.Errorf("not told: %v", types)
	}
}

func fieldsOf(v any) (all, required []string) {
	for i := range reflect.TypeOf(v).NumField() {
		name, option, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
		all = append(all, name)
		if option != "omitempty" {
			required = append(required, name)
		}
	}
	sort.Strings(all)
	sort.Strings(required)
	return all, required
}

// TestSlowAdminClients: a hundred that ask and do not read cost the loop nothing.
func TestSlowAdminClients(t *testing.T) {
	a := startAdmin(t, broker.Config{})
	stop := a.worker(worker.Config{Services: []string{"echo"}, Concurrency: 4}, worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
	defer stop()
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range 100 {
		c, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		fmt.Fprintf(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
	}
	p := a.pipeline(client.Config{})
	defer p.Close()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, err := p.Do(t.Context(), client.Request{Service: "echo", Body: []byte("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var s adminapi.Status
	a.get("/status", &s)
	t.Logf("worst loop lag %v ms, busy %.2f", s.LoopLagMS, s.Busy)
	if s.Outcomes["OK"] != 200 {
		t.Errorf("outcomes %v", s.Outcomes)
	}
}
