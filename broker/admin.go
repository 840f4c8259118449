package broker

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/privateer-mq/privateer/internal/adminapi"
)

const (
	adminBodyMax  = 4 << 10
	adminConnsMax = 256         // beyond, a new one takes the place of another
	adminEnd      = time.Second // for the answers under way, at the end
	liveFor       = 2 * time.Second
)

// An admin is the HTTP listener. Nothing of it runs on the loop: it asks the
// loop for what it answers, and hands it what it is to do.
type admin struct {
	b        *Broker
	listener net.Listener
	server   *http.Server
	token    []byte // empty: none is needed
	loopback bool
}

// openAdmin binds the admin listener; nil where there is to be none.
func openAdmin(b *Broker) (*admin, error) {
	if b.cfg.Admin == "" {
		return nil, nil
	}
	a := &admin{b: b}
	if b.cfg.AdminTokenFile != "" {
		token, err := adminapi.ReadToken(b.cfg.AdminTokenFile)
		if err != nil {
			return nil, fmt.Errorf("broker: Config.AdminTokenFile: %w: name a file that this user can read, with a token of 16 characters or more", err)
		}
		if a.token = []byte(token); len(a.token) < 16 {
			return nil, fmt.Errorf("broker: Config.AdminTokenFile: %s holds %d characters; a token has at least 16", b.cfg.AdminTokenFile, len(a.token))
		}
	}
	l, err := net.Listen("tcp", b.cfg.Admin)
	if err != nil {
		return nil, fmt.Errorf("broker: Config.Admin: %w", listenError(b.cfg.Admin, err))
	}
	if a.loopback = l.Addr().(*net.TCPAddr).IP.IsLoopback(); !a.loopback && len(a.token) == 0 {
		l.Close()
		return nil, fmt.Errorf("broker: Config.Admin: %s can be reached from other machines: that needs a token, Config.AdminTokenFile; or listen on 127.0.0.1", b.cfg.Admin)
	}
	a.listener = newLimited(l, adminConnsMax)
	a.server = &http.Server{Handler: a.counted(a.routes()), ConnContext: withConn, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	log := b.cfg.Logger // the loop's own changes with its level
	go func() {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Msg("the admin listener ended")
		}
	}()
	return a, nil
}

// listenError says what to do about it.
func listenError(address string, err error) error {
	var call *os.SyscallError
	if !errors.As(err, &call) {
		return fmt.Errorf("%q is not an address to listen on: %w: write HOST:PORT, such as 127.0.0.1:5580", address, err)
	}
	advice := ""
	switch {
	case errors.Is(call.Err, syscall.EADDRINUSE):
		advice = ": another program listens there; stop it, or choose another port"
	case errors.Is(call.Err, syscall.EADDRNOTAVAIL):
		advice = ": this machine has no such address; write one of its own"
	case errors.Is(call.Err, syscall.EACCES):
		advice = ": not permitted; choose a port from 1024 up"
	}
	return fmt.Errorf("bind %s: %w%s", address, call.Err, advice)
}

// close ends the listener, last of all.
func (a *admin) close() {
	if a == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), adminEnd)
	defer stop()
	if a.server.Shutdown(ctx) != nil {
		a.server.Close()
	}
}

// routes are all paths. What the API has is in adminapi's openapi.json too.
func (a *admin) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range a.api() {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+adminapi.Prefix+path, a.guard(method != http.MethodGet, do))
	}
	mux.Handle(adminapi.Prefix+"/", a.guard(false, func(w http.ResponseWriter, r *http.Request) { a.noRoute(w, r) }))
	mux.HandleFunc("GET /livez", a.livez)
	mux.HandleFunc("GET /readyz", a.readyz)
	metrics := promhttp.HandlerFor(a.b.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 8})
	mux.Handle("GET /metrics", a.guard(false, metrics.ServeHTTP))
	if a.b.cfg.AdminPprof {
		mux.Handle("GET /debug/pprof/", a.guard(false, pprof.Index))
		mux.Handle("GET /debug/pprof/profile", a.guard(false, pprof.Profile))
		mux.Handle("GET /debug/pprof/trace", a.guard(false, pprof.Trace))
		mux.Handle("GET /debug/pprof/cmdline", a.guard(false, pprof.Cmdline))
		mux.Handle("GET /debug/pprof/symbol", a.guard(false, pprof.Symbol))
	}
	if a.b.page != nil {
		mux.Handle("/", a.b.page)
	}
	return mux
}

// guard lets through who may: with the token where there is one; and to change
// something only with the header that no page of another origin can set, and a
// Host that is this listener's.
func (a *admin) guard(changes bool, do http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case a.loopback && !localHost(r.Host):
			refuse(w, http.StatusForbidden, adminapi.CodeForbidden, "the Host "+clip(r.Host)+" is not this machine's loopback")
		case len(a.token) > 0 && !a.authorized(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, adminapi.CodeUnauthorized, "a token is needed: Authorization: Bearer TOKEN, as in the broker's --admin-token-file")
		case changes && r.Header.Get(adminapi.Header) == "":
			refuse(w, http.StatusForbidden, adminapi.CodeForbidden, "calls that change something need the header "+adminapi.Header)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, adminBodyMax)
			do(w, r)
		}
	})
}

func (a *admin) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(token), a.token) == 1
}

// localHost keeps pages out that had a name of theirs point to this machine.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// livez: the loop turns.
func (a *admin) livez(w http.ResponseWriter, _ *http.Request) {
	if ago := time.Since(a.b.started) - time.Duration(a.b.ticked.Load()); ago > liveFor {
		http.Error(w, "the loop has not turned for "+span(ago), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readyz: new requests are taken.
func (a *admin) readyz(w http.ResponseWriter, _ *http.Request) {
	if a.b.stopping.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// noRoute tells a wrong path from a wrong method.
func (a *admin) noRoute(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, adminapi.Prefix)
	for pattern := range a.api() {
		if _, p, _ := strings.Cut(pattern, " "); matches(p, path) {
			refuse(w, http.StatusMethodNotAllowed, adminapi.CodeMethod, r.Method+" is not a method of "+clip(r.URL.Path))
			return
		}
	}
	refuse(w, http.StatusNotFound, adminapi.CodeNotFound, "no such path: "+clip(r.URL.Path))
}

func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

func reply(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("broker: admin: " + err.Error()) // our own types
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(b, '\n')) // who has gone away is told nothing
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	b, _ := json.Marshal(adminapi.Error{Code: code, Message: message})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// clip bounds what is said again of what came.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
