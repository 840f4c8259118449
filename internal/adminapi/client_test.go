package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve starts a server with one answer to everything, and a client of it.
func serve(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return newClient(t, server.URL, "")
}

func newClient(t *testing.T, target, token string) *Client {
	t.Helper()
	c, err := New(target, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// says wants an error that is no *Error and whose one sentence holds the words.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if e := (*Error)(nil); err == nil || errors.As(err, &e) {
		t.Fatalf("got %v, want an error of the client itself", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than one line", err)
	}
}

// listen returns an address with something behind it that is no web server.
func listen(t *testing.T, each func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			each(conn)
		}
	}()
	return l.Addr().String()
}

// TestRoutes: each method makes the call that the API has for it.
func TestRoutes(t *testing.T) {
	const id = "0190b5a2-7c1e-7000-8000-000000000001"
	ctx := t.Context()
	for _, r := range []struct {
		call   string
		status int
		answer string
		do     func(*Client) (any, error)
		want   string // of what it returns, as JSON; empty: it returns nothing
		body   string
	}{
		{"GET /status", 200, `{"epoch":"e","open":3}`, func(c *Client) (any, error) { s, err := c.Status(ctx); return s.Open, err }, `3`, ""},
		{"GET /services", 200, `[{"name":"a"}]`, func(c *Client) (any, error) { l, err := c.Services(ctx); return l[0].Name, err }, `"a"`, ""},
		{"POST /services/a%20%2Fb/pause", 204, "", func(c *Client) (any, error) { return nil, c.Pause(ctx, "a /b") }, "", ""},
		{"POST /services/a/resume", 204, "", func(c *Client) (any, error) { return nil, c.Resume(ctx, "a") }, "", ""},
		{"POST /services/a%20%2Fb/cancel", 200, `{"cancelled":7,"more":true}`, func(c *Client) (any, error) { return c.CancelService(ctx, "a /b") }, `{"cancelled":7,"more":true}`, ""},
		{"GET /workers", 200, `[{"worker":"w"}]`, func(c *Client) (any, error) { l, err := c.Workers(ctx); return l[0].Worker, err }, `"w"`, ""},
		{"GET /requests/" + id, 200, `{"answer":"so."}`, func(c *Client) (any, error) { w, err := c.Why(ctx, id); return w.Answer, err }, `"so."`, ""},
		{"GET /requests", 200, `{"requests":[{"id":"i"}],"more":true}`, func(c *Client) (any, error) { r, err := c.Requests(ctx, RequestFilter{}); return r.Requests[0].ID, err }, `"i"`, ""},
		{"GET /requests?limit=7&older_than_ms=2500&service=a+%26b&state=queued", 200, `{"requests":[]}`, func(c *Client) (any, error) {
			r, err := c.Requests(ctx, RequestFilter{Service: "a &b", State: "queued", OlderThan: 2500 * time.Millisecond, Limit: 7})
			return r.More, err
		}, `false`, ""},
		{"POST /requests/" + id + "/cancel", 204, "", func(c *Client) (any, error) { return nil, c.Cancel(ctx, id) }, "", ""},
		{"GET /failures", 200, `[{"id":"i"}]`, func(c *Client) (any, error) { l, err := c.Failures(ctx); return l[0].ID, err }, `"i"`, ""},
		{"GET /dead", 200, `[{"id":"i"}]`, func(c *Client) (any, error) { l, err := c.DeadLetters(ctx); return l[0].ID, err }, `"i"`, ""},
		{"GET /dead/" + id, 200, `{"frames":["eA=="]}`, func(c *Client) (any, error) { d, err := c.DeadLetter(ctx, id); return d.Frames, err }, `["eA=="]`, ""},
		{"POST /dead/" + id + "/requeue", 200, `{"id":"new"}`, func(c *Client) (any, error) { r, err := c.Requeue(ctx, id); return r.ID, err }, `"new"`, ""},
		{"DELETE /dead/" + id, 204, "", func(c *Client) (any, error) { return nil, c.Drop(ctx, id) }, "", ""},
		{"POST /drain", 202, "", func(c *Client) (any, error) { return nil, c.Drain(ctx) }, "", ""},
		{"GET /log-level", 200, `{"level":"info"}`, func(c *Client) (any, error) { l, err := c.LogLevel(ctx); return l.Level, err }, `"info"`, ""},
		{"PUT /log-level", 204, "", func(c *Client) (any, error) { return nil, c.SetLogLevel(ctx, "debug") }, "", `{"level":"debug"}`},
		{"GET /openapi.json", 200, `{}`, func(c *Client) (any, error) { b, err := c.Document(ctx); return json.RawMessage(b), err }, `{}`, ""},
	} {
		t.Run(r.call, func(t *testing.T) {
			var got, body, header, token string
			server := serve(t, func(w http.ResponseWriter, req *http.Request) {
				text, _ := io.ReadAll(req.Body)
				got, body = req.Method+" "+strings.TrimPrefix(req.RequestURI, Prefix), string(text)
				header, token = req.Header.Get(Header), req.Header.Get("Authorization")
				w.WriteHeader(r.status)
				_, _ = io.WriteString(w, r.answer)
			})
			c := newClient(t, server.Target()+"/", "secret-of-sixteen")
			v, err := r.do(c)
			if err != nil {
				t.Fatal(err)
			}
			if text, _ := json.Marshal(v); r.want != "" && string(text) != r.want {
				t.Errorf("it returned %s, want %s", text, r.want)
			}
			if got != r.call || body != r.body || token != "Bearer secret-of-sixteen" {
				t.Errorf("it asked %q with body %q and %q, want %q with body %q", got, body, token, r.call, r.body)
			}
			if changes := !strings.HasPrefix(r.call, "GET"); (header != "") != changes {
				t.Errorf("%s is %q", Header, header)
			}
		})
	}
}

// TestRefused: what the broker says is an *Error.
func TestRefused(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right-token" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"code":"unauthorized","message":"a token is needed"}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":"not_found","message":"no such thing"}`)
	})
	for token, want := range map[string]Error{
		"":            {CodeUnauthorized, "a token is needed"},
		"wrong":       {CodeUnauthorized, "a token is needed"},
		"right-token": {CodeNotFound, "no such thing"},
	} {
		_, err := newClient(t, c.Target(), token).Workers(t.Context())
		if e := (*Error)(nil); !errors.As(err, &e) || *e != want {
			t.Errorf("token %q: got %v, want %v", token, err, want)
		}
	}
}

// TestNobody: the port is closed, or the host unknown.
func TestNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = newClient(t, address, "").Status(t.Context())
	says(t, err, "no admin listener at "+address+": start the broker with --admin "+address)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the cause of %q is lost", err)
	}
	_, err = newClient(t, "http://"+address, "").Status(t.Context())
	says(t, err, "no admin listener at http://"+address+": start the broker with --admin "+address)
	_, err = newClient(t, "no..such.host:5580", "").Status(t.Context()) // no name: nobody is asked for it
	says(t, err, "the host of no..such.host:5580 is not known: check its name")
}

// TestSomethingElse: another program has the port.
func TestSomethingElse(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a page":      func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello") },
		"not found":   http.NotFound,
		"other JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"ok"}`) },
		"its errors":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"message":"who?"}`, 404) },
		"a redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"another 2xx": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, answer)
			_, err := c.Status(t.Context())
			says(t, err, c.Target(), "it is another program, not a broker's admin listener; check the address")
			if name != "another 2xx" {
				says(t, c.Cancel(t.Context(), "x"), "it is another program")
			}
		})
	}
	talk := func(text string, end bool) string {
		return listen(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, text)
			if end {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			t.Cleanup(func() { conn.Close() })
		})
	}
	_, err := newClient(t, talk("SSH-2.0-OpenSSH_9.2\r\n", false), "").Status(t.Context())
	says(t, err, "answers what is not HTTP: it is another program")
	_, err = newClient(t, talk("", true), "").Status(t.Context())
	says(t, err, "ended the connection without an answer")
	// As libzmq begins; then it waits.
	zmq := newClient(t, talk("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f", false), "")
	_, err = zmq.Status(t.Context())
	says(t, err, zmq.Target()+" speaks ZeroMQ, not HTTP: give the address of the broker's --admin")
}

// TestHugeAnswer: no more is read than the bound.
func TestHugeAnswer(t *testing.T) {
	sent := make(chan int, 1)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for chunk := []byte(strings.Repeat(" ", 1<<20)); ; {
			k, err := w.Write(chunk)
			if n += k; err != nil {
				sent <- n
				return
			}
		}
	})
	c.answerMax = 3 << 20
	_, err := c.Services(t.Context())
	says(t, err, c.Target()+" answers with more than 3145728 bytes")
	if n := <-sent; n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	exact := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[ ]") })
	exact.answerMax = 3
	if _, err := exact.Services(t.Context()); err != nil {
		t.Errorf("an answer as large as the bound: %v", err)
	}
}

// TestSlow: a server that does not answer, or not to the end, costs the time-out.
func TestSlow(t *testing.T) {
	over := make(chan struct{})
	for _, first := range []string{"", "["} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if first != "" {
				_, _ = io.WriteString(w, first)
				w.(http.Flusher).Flush()
			}
			select {
			case <-r.Context().Done():
			case <-over:
			}
		})
		c.Timeout = 50 * time.Millisecond
		_, err := c.Workers(t.Context())
		says(t, err, "no answer from "+c.Target()+" within 50ms")

		c.Timeout = time.Minute
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := c.Workers(ctx); err != context.Canceled { //nolint:errorlint // itself, and nothing around it
			t.Errorf("given up by the caller: %v", err)
		}
	}
	close(over)
}

// TestNew: what is no address, and no token, is said at once.
func TestNew(t *testing.T) {
	for target, want := range map[string]string{
		"":                       "want HOST:PORT, or an http URL",
		"localhost":              "want HOST:PORT, or an http URL",
		"localhost:http":         "want HOST:PORT, or an http URL",
		"localhost:70000":        "want HOST:PORT, or an http URL",
		"a/b:5580":               "want HOST:PORT, or an http URL",
		"tcp://127.0.0.1:5555":   "is an endpoint of ZeroMQ: want HOST:PORT of the broker's --admin",
		"ftp://host:21":          "is not an http URL",
		"http://":                "is not an http URL",
		"http://u:p@host:1":      "has more than a host and a path",
		"http://host:1?x=y":      "has more than a host and a path",
		"http://host:1/\x7fpath": "is not a URL",
	} {
		if _, err := New(target, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", target, err, want)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q shows a password", err)
		}
	}
	for target, base := range map[string]string{
		"127.0.0.1:5580":         "http://127.0.0.1:5580",
		":5580":                  "http://127.0.0.1:5580",
		"[::1]:5580":             "http://[::1]:5580",
		"http://host:1/":         "http://host:1",
		"https://host/privateer": "https://host/privateer",
	} {
		if c, err := New(target, ""); err != nil || c.base != base {
			t.Errorf("%q: got %v, %v, want %s", target, c, err, base)
		}
	}
	if _, err := New("host:1", "two words"); err == nil || !strings.Contains(err.Error(), "one word") {
		t.Errorf("a token of two words: %v", err)
	}
	for _, name := range []string{".", ".."} {
		if err := newClient(t, "host:1", "").Pause(t.Context(), name); err == nil || !strings.Contains(err.Error(), "over HTTP") {
			t.Errorf("service %q: %v", name, err)
		}
	}
}
