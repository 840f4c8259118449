package doctor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	timeout = 2 * time.Second
	slack   = 2 * time.Second // of a busy machine
)

// examine runs check, and makes sure that it ends in time.
func examine(t *testing.T, cfg Config, resolver *net.Resolver) *Report {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = timeout
	}
	began := time.Now()
	r, err := check(t.Context(), cfg, resolver)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > cfg.Timeout+slack {
		t.Errorf("it took %v, with a time-out of %v", took, cfg.Timeout)
	}
	return r
}

// verify looks at the first step that failed and at what is said of it.
func verify(t *testing.T, r *Report, failed, found, advice string) {
	t.Helper()
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if r.Failed != failed {
		t.Fatalf("%q failed, want %q:\n%s", r.Failed, failed, &text)
	}
	over := false
	for _, s := range r.Steps {
		switch {
		case over && s.State != Skipped, !over && s.State == Fail && s.Name != failed:
			t.Errorf("%s is %s:\n%s", s.Name, s.State, &text)
		case s.Name == failed && !strings.Contains(s.Note, found):
			t.Errorf("found %q, want %q", s.Note, found)
		}
		over = over || s.Name == failed
	}
	if !strings.Contains(r.Advice, advice) || strings.Contains(r.Advice, ". ") || strings.HasSuffix(r.Advice, ".") {
		t.Errorf("advice %q, want one sentence with %q", r.Advice, advice)
	}
	last := text.String()[strings.LastIndex(strings.TrimSpace(text.String()), "\n")+1:]
	if failed != "" && !strings.HasPrefix(last, "doctor: "+failed+" failed: ") || failed == "" && last != "doctor: all fine\n" {
		t.Errorf("the last line is %q", last)
	}
}

// TestWhatListens: each thing that can listen at a port, and what is said of it.
func TestWhatListens(t *testing.T) {
	for name, c := range map[string]struct {
		serve                 func(net.Conn)
		failed, found, advice string
	}{
		"silent":                       {hold, "greeting", "says nothing", "check the port"},
		"hangs up":                     {func(net.Conn) {}, "greeting", "closed the connection", "another kind of server"},
		"http at once":                 {says("HTTP/1.1 400 Bad Request\r\n\r\n"), "greeting", "web server", "front port (5555)"},
		"ssh":                          {says("SSH-2.0-x\r\n"), "greeting", `"SSH-2.0-x\r\n"`, "another kind of server"},
		"tls":                          {says("\x15\x03\x01\x00\x02\x02\x46"), "greeting", "TLS", "plain TCP"},
		"zmtp 1.0":                     {says("\x01\x00"), "greeting", "ZMTP 1.0", "older than 4.0"},
		"zmtp 2.0":                     {says("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x06\x00\x00"), "greeting", "ZMTP 2.0", "older than 4.0"},
		"stops in greeting":            {says("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03"), "greeting", "does not go on", "it hangs"},
		"curve":                        {says(greetingAs("CURVE")), "mechanism", `"CURVE"`, "no keys"},
		"plain":                        {says(greetingAs("PLAIN")), "mechanism", `"PLAIN"`, "no passwords"},
		"silent after it":              {says(greetingAs("NULL")), "socket", "no READY", "it hangs"},
		"refused by ZAP":               {says(greetingAs("NULL") + "\x04\x0a\x05ERROR\x03400"), "socket", `"400"`, "access rules"},
		"a message first":              {says(greetingAs("NULL") + "\x00\x01x"), "socket", "a message came", "another kind of server"},
		"rubbish":                      {says(greetingAs("NULL") + "\xf0\x01x"), "socket", "no ZMTP frame", "another kind of server"},
		"REP":                          {zmtp("REP", false, nil), "socket", `"REP"`, "no broker"},
		"PUB":                          {zmtp("PUB", false, nil), "socket", `"PUB"`, "no broker"},
		"another broker":               {zmtp("ROUTER", false, func(f [][]byte) [][][]byte { return [][][]byte{{{}, []byte("what?")}} }), "protocol", `"what?"`, "another broker"},
		"silent ROUTER":                {zmtp("ROUTER", false, func([][]byte) [][][]byte { return nil }), "protocol", "does not answer", "another broker"},
		"INVALID":                      {refusing('1', protocol.Invalid), "protocol", "version 1 is not spoken here", "of the broker's version"},
		"PRV2":                         {refusing('2', protocol.Invalid), "protocol", "PRV2", "of the broker's version"},
		"back of PRV2":                 {fakeBack(t, protocol.ReasonVersion), "protocol", "refuses PRV1", "of the broker's version"},
		"draining":                     {fakeFront{pong: protocol.Draining}.serve, "state", "draining", "shutting down"},
		"back that goes away":          {fakeBack(t, protocol.ReasonShutdown), "state", "shutting down", "when it is back"},
		"front":                        {fakeFront{}.serve, "", "", ""},
		"back":                         {fakeBack(t, protocol.ReasonUnknown), "", "", ""},
		"front with ZMTP's heartbeats": {fakeFront{beat: true}.serve, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, Config{Endpoint: listen(t, c.serve)}, net.DefaultResolver)
			verify(t, r, c.failed, c.found, c.advice)
		})
	}
}

// TestWrongPort: front and back, each where the other was meant.
func TestWrongPort(t *testing.T) {
	at, behind := listen(t, fakeFront{}.serve), listen(t, fakeBack(t, protocol.ReasonUnknown))
	verify(t, examine(t, Config{Endpoint: behind, Role: Client}, nil), "port", "the back port", "front port")
	verify(t, examine(t, Config{Endpoint: at, Role: Worker}, nil), "port", "the front port", "back port")
	verify(t, examine(t, Config{Endpoint: at, Role: Client}, nil), "", "", "")
	r := examine(t, Config{Endpoint: behind, Role: Worker}, nil)
	verify(t, r, "", "", "")
	if r.Port != "back" {
		t.Errorf("port %q", r.Port)
	}
	verify(t, examine(t, Config{Endpoint: behind, Service: "s"}, nil), "port", "the back port", "front port")
}

// TestService: whether somebody serves it, and what becomes of a request.
func TestService(t *testing.T) {
	for name, c := range map[string]struct {
		front                 fakeFront
		failed, found, advice string
	}{
		"served":     {fakeFront{mmi: "200", reply: replies(protocol.OK)}, "", "", ""},
		"handler":    {fakeFront{mmi: "200", reply: replies(protocol.Failed)}, "", "", ""},
		"no mmi":     {fakeFront{mmi: "501", reply: replies(protocol.OK)}, "", "", ""},
		"nobody":     {fakeFront{mmi: "404", reply: replies(protocol.OK)}, "service", "no live worker", "start a worker"},
		"just left":  {fakeFront{mmi: "200", reply: replies(protocol.NoService)}, "round-trip", "no live worker", "start a worker"},
		"busy":       {fakeFront{mmi: "200", reply: replies(protocol.Expired)}, "round-trip", "EXPIRED", "start more"},
		"full":       {fakeFront{mmi: "200", reply: replies(protocol.Overloaded)}, "round-trip", "OVERLOADED", "queue is full"},
		"shut down":  {fakeFront{mmi: "200", reply: replies(protocol.DrainingNow)}, "round-trip", "DRAINING", "shutting down"},
		"not for us": {fakeFront{mmi: "200", reply: replies(protocol.Denied)}, "round-trip", "DENIED", "log"},
		"no answer":  {fakeFront{mmi: "200"}, "round-trip", "no answer", "--timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, Config{Endpoint: listen(t, c.front.serve), Service: "s"}, nil)
			verify(t, r, c.failed, c.found, c.advice)
		})
	}
}

// TestServiceIsNotAsked: without --service nothing is run.
func TestServiceIsNotAsked(t *testing.T) {
	f := fakeFront{mmi: "200", reply: func(m *protocol.Message) protocol.Code {
		t.Errorf("a request to %q", m.Service)
		return protocol.OK
	}}
	verify(t, examine(t, Config{Endpoint: listen(t, f.serve)}, nil), "", "", "")
}

// TestWebServer: one that waits for the end of a line, as Go's own does.
func TestWebServer(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	r := examine(t, Config{Endpoint: web.Listener.Addr().String()}, nil)
	verify(t, r, "greeting", "web server", "front port (5555)")
}

// TestRealRouter: a ROUTER of libzmq that says nothing.
func TestRealRouter(t *testing.T) {
	host, _, err := transport.For("", nil, "tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	router, err := host.Open(link.Options{Role: link.Router, Endpoints: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	r := examine(t, Config{Endpoint: router.Addr()}, nil)
	verify(t, r, "protocol", "does not answer", "another broker")
}

func TestNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := examine(t, Config{Endpoint: l.Addr().String()}, nil)
	verify(t, r, "tcp", "connection refused", "start the broker, or write the port where its log says that it listens: nothing does on port "+port)
}

func TestNames(t *testing.T) {
	r := examine(t, Config{Endpoint: "brokr.test:5555"}, nameServer(t, nil))
	verify(t, r, "dns", `no host is named "brokr.test"`, "spelling")
	r = examine(t, Config{Endpoint: "broker.test:5555"}, nameServer(t, net.ParseIP("2001:db8::1")))
	if s := r.Steps[0]; s.State != OK || s.Note != "broker.test is 2001:db8::1 (IPv6 only: peers on libzmq need the address, not the name)" {
		t.Errorf("%+v", s)
	}
	silent := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	r = examine(t, Config{Endpoint: "broker.test:5555", Timeout: time.Second}, silent)
	verify(t, r, "dns", "cannot be looked up", "name server")
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Endpoint: "localhost"}, "write tcp://host:port"},
		{Config{Endpoint: "tcp://:5555"}, "write tcp://host:port"},
		{Config{Endpoint: "udp://x"}, "only tcp and ipc endpoints"},
		{Config{Endpoint: "ipc://"}, "the path"},
		{Config{Endpoint: "ipc://" + strings.Repeat("x", 200)}, "200 bytes"},
		{Config{Endpoint: "localhost:0"}, "not a number from 1 to 65535"},
		{Config{Endpoint: "localhost:http"}, "not a number from 1 to 65535"},
		{Config{Endpoint: "localhost:1", Service: "a\n"}, "--service: "},
		{Config{Endpoint: "localhost:1", Service: "a", Role: Worker}, "leave out --role worker"},
	} {
		if _, err := Check(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}

// TestStopped: when its context ends it ends, whatever it was waiting for.
func TestStopped(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"greeting": hold,
		"socket":   says(greetingAs("NULL")),
		"protocol": zmtp("ROUTER", false, func([][]byte) [][][]byte { return nil }),
		"service":  zmtp("ROUTER", false, nil),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := Config{Endpoint: listen(t, serve), Timeout: time.Hour}
			if name == "service" { // it stops when it hears the question
				f := fakeFront{mmi: "200", reply: func(*protocol.Message) protocol.Code { cancel(); return protocol.CodeNone }}
				cfg.Endpoint, cfg.Service = listen(t, f.serve), "s"
			} else {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
			began := time.Now()
			r, err := Check(ctx, cfg)
			if took := time.Since(began); err != nil || r.Failed == "" || took > timeout+slack {
				t.Errorf("%v, %q failed, after %v", err, r.Failed, took)
			}
		})
	}
}

// TestJSON: it says what the text says.
func TestJSON(t *testing.T) {
	r := examine(t, Config{Endpoint: listen(t, says("\x01\x00"))}, nil)
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Endpoint, Failed, Advice string
		OK                       bool
		Steps                    []struct {
			Step, State, Note string
			MS                *float64
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, &b)
	}
	if got.OK || got.Endpoint != r.Endpoint || got.Failed != "greeting" || got.Advice != r.Advice || len(got.Steps) != len(steps) {
		t.Errorf("got %+v", got)
	}
	if s := got.Steps[2]; s.Step != "greeting" || s.State != "fail" || s.Note != "ZMTP 1.0" || s.MS == nil {
		t.Errorf("step %+v", s)
	}
}

// A deaf connection has no time-outs, and takes whatever is written.
type deaf struct{ net.Conn }

func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }
func (deaf) Write(b []byte) (int, error)      { return len(b), nil }

// FuzzWire: whatever a peer sends after its greeting, little of it is kept.
func FuzzWire(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, flagMore, nil), 0, []byte("PRV1")))
	f.Add(appendFrame(nil, flagCommand, append([]byte("\x05READY"), appendProperty(nil, "Socket-Type", "ROUTER")...)))
	f.Add(appendFrame(nil, flagCommand, []byte("\x04PING\x00\x01x")))
	f.Add(appendFrame(nil, flagCommand, []byte("\x05READY\x01a\x00\x00\x00\x09short")))
	f.Add(appendFrame(appendFrame(nil, flagMore, make([]byte, keptBytesMax)), 0, make([]byte, 9)))
	f.Add([]byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add(append([]byte("\x02\x00\x00\x00\x00\x00\x20\x00\x00"), make([]byte, 1<<20+9)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := wire{deaf{}, bufio.NewReader(bytes.NewReader(b))}
		if _, data, err := w.command(time.Time{}); err == nil {
			for _, v := range properties(data) {
				if len(v) > len(data) {
					t.Errorf("a property of %d bytes in %d", len(v), len(data))
				}
			}
		}
		w.r.Reset(bytes.NewReader(b))
		for {
			frames, err := w.message(time.Time{})
			if err != nil {
				return
			}
			size := 0
			for _, frame := range frames {
				size += len(frame)
			}
			if size > keptBytesMax || len(frames) > framesMax {
				t.Errorf("%d frames of %d bytes are kept", len(frames), size)
			}
			p := &patient{}
			_ = p.recognise(frames)
		}
	})
}
