package broker

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// api is every call, by method and path.
func (a *admin) api() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /openapi.json":            openapi,
		"GET /status":                  a.status,
		"GET /services":                a.services,
		"POST /services/{name}/pause":  a.pause(true),
		"POST /services/{name}/resume": a.pause(false),
		"POST /services/{name}/cancel": a.cancelService,
		"GET /workers":                 a.workers,
		"GET /requests":                a.requests,
		"GET /requests/{id}":           a.why,
		"POST /requests/{id}/cancel":   a.cancel,
		"GET /failures":                a.failures,
		"GET /dead":                    a.deadLetters,
		"GET /dead/{id}":               a.deadLetter,
		"POST /dead/{id}/requeue":      a.requeue,
		"DELETE /dead/{id}":            a.dropDead,
		"POST /drain":                  a.drain,
		"GET /log-level":               a.logLevel,
		"PUT /log-level":               a.setLogLevel,
	}
}

func openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(adminapi.OpenAPI)
}

// A view is what the loop tells of itself: copies, for others to read.
type view struct {
	now      time.Duration
	gauges   core.Gauges
	counters core.Counters
	services []core.ServiceInfo
	workers  []core.WorkerInfo
	drops    map[core.What]uint64
	links    map[string]link.Stats // by port, where the transport counts
	ended    map[string][2]uint64  // by service: done, failed
	health   map[string]health
	lag      time.Duration
	busy     float64
}

// portNames are what people call the ports.
var portNames = [...]string{protocol.FrontPort: "front", protocol.BackPort: "back"}

func (l *loop) view() view {
	now := l.now()
	v := view{now: now, gauges: l.core.Gauges(), counters: l.core.Counters(), services: l.core.Services(now),
		workers: l.core.Workers(now), drops: make(map[core.What]uint64, len(l.drops)), ended: map[string][2]uint64{},
		lag: l.pace.lag(), busy: l.pace.busy(), links: map[string]link.Stats{}}
	for at, name := range portNames {
		if o, ok := l.ports[at].(link.Observed); ok {
			v.links[name] = o.Stats()
		}
	}
	for reason, n := range l.drops {
		v.drops[reason] = n
	}
	runs := l.core.OldestRuns(now)
	v.health = make(map[string]health, len(v.services))
	for i := range v.services {
		name := v.services[i].Name
		v.health[name] = l.b.metrics.health(now, name, runs[name])
	}
	for name, s := range l.b.metrics.services {
		v.ended[name] = [2]uint64{s.done, s.failed}
	}
	return v
}

// ask runs f on the loop, or answers that there is none.
func (a *admin) ask(w http.ResponseWriter, f func(*loop)) bool {
	if a.b.ask(f) != nil {
		refuse(w, http.StatusServiceUnavailable, adminapi.CodeNotRunning, "the broker has stopped")
		return false
	}
	return true
}

func (a *admin) view(w http.ResponseWriter) (v view, ok bool) {
	return v, a.ask(w, func(l *loop) { v = l.view() })
}

func (a *admin) status(w http.ResponseWriter, _ *http.Request) {
	v, ok := a.view(w)
	if !ok {
		return
	}
	front, back := a.b.Addrs()
	s := adminapi.Status{Version: a.b.cfg.Version, Commit: a.b.cfg.Commit, Epoch: workerName(a.b.epoch.Load()),
		Started: a.b.started, UptimeMS: v.now.Milliseconds(), Draining: v.gauges.Draining || a.b.stopping.Load(),
		Frontends: bound(a.b.cfg.Frontends, front), Backends: bound(a.b.cfg.Backends, back),
		Open: v.gauges.Open, Queued: v.gauges.Queued, Running: v.gauges.Assigned, Workers: v.gauges.Workers,
		Services: v.gauges.Services, DeadLetters: v.gauges.DeadLetters, IDs: v.gauges.IDs,
		QueueBytes: v.gauges.QueueBytes, ReplayBytes: v.gauges.ReplayBytes,
		Outcomes: byCode(&v.counters.Outcomes), Refused: byCode(&v.counters.Refused), Drops: map[string]uint64{},
		Redelivered: v.counters.Requeued, WorkersLost: v.counters.WorkersLost,
		LoopLagMS: float64(v.lag.Microseconds()) / 1000, Busy: v.busy}
	for i := range v.services {
		s.OldestMS = max(s.OldestMS, v.services[i].Oldest.Milliseconds())
	}
	for reason, n := range v.drops {
		s.Drops[string(reason)] = n
	}
	reply(w, s)
}

// bound are the endpoints asked for, the last of them as it was bound.
func bound(endpoints []string, last string) []string {
	list := append([]string(nil), endpoints...)
	if len(list) > 0 && last != "" {
		list[len(list)-1] = last
	}
	return list
}

func byCode(counts *[16]uint64) map[string]uint64 {
	m := map[string]uint64{}
	for code, n := range counts {
		if n > 0 {
			m[protocol.Code(code).String()] = n
		}
	}
	return m
}

func (a *admin) services(w http.ResponseWriter, _ *http.Request) {
	v, ok := a.view(w)
	if !ok {
		return
	}
	list := make([]adminapi.Service, 0, len(v.services))
	for _, s := range v.services {
		h := v.health[s.Name]
		k := adminapi.Service{Name: s.Name, Queued: s.Queued, OldestMS: s.Oldest.Milliseconds(), Running: s.Running,
			Workers: s.Workers, Paused: s.Paused, Done: v.ended[s.Name][0], Failed: v.ended[s.Name][1],
			RunMS: h.oldest.Held.Milliseconds(), RunP99MS: h.p99.Milliseconds(), HangAfterMS: h.hangAfter.Milliseconds(), Hanging: h.hanging,
			RecentDone: h.done, RecentFailed: h.failed, Failing: h.failing}
		if h.oldest.Worker != 0 {
			k.RunID, k.RunWorker = h.oldest.ID.String(), workerName(h.oldest.Worker)
		}
		list = append(list, k)
	}
	reply(w, list)
}

func (a *admin) pause(on bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, ok := r.PathValue("name"), false
		if !a.ask(w, func(l *loop) {
			l.out, ok = l.core.Pause(l.now(), name, on, l.out)
			l.deliver()
		}) {
			return
		}
		done(w, ok, "no request and no worker names the service "+clip(name))
	}
}

// done answers a call that has changed something, or found nothing to change.
func done(w http.ResponseWriter, ok bool, missing string) {
	if !ok {
		refuse(w, http.StatusNotFound, adminapi.CodeNotFound, missing)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// id reads the path's id, or answers what is wrong with it.
func id(w http.ResponseWriter, r *http.Request) (protocol.ID, bool) {
	id, err := protocol.ParseID(strings.ToLower(r.PathValue("id")))
	if err != nil {
		refuse(w, http.StatusBadRequest, adminapi.CodeBadRequest, clip(err.Error()))
	}
	return id, err == nil
}

func (a *admin) why(w http.ResponseWriter, r *http.Request) {
	id, ok := id(w, r)
	var story adminapi.Why
	if !ok || !a.ask(w, func(l *loop) { story, ok = l.why(id) }) {
		return
	}
	if !ok {
		refuse(w, http.StatusNotFound, adminapi.CodeNotFound, "nothing is known of request "+id.String()+
			": it never came here, or is forgotten, and the recorder has gone round since")
		return
	}
	reply(w, story)
}

func (a *admin) cancel(w http.ResponseWriter, r *http.Request) {
	id, ok := id(w, r)
	if !ok || !a.ask(w, func(l *loop) {
		l.out, ok = l.core.Withdraw(l.now(), id, l.out)
		l.deliver()
	}) {
		return
	}
	done(w, ok, "no open request has the id "+id.String())
}

// failuresMax is how many failures are listed.
const failuresMax = 500

func (a *admin) failures(w http.ResponseWriter, _ *http.Request) {
	list := []adminapi.Failure{}
	if !a.ask(w, func(l *loop) {
		for _, f := range l.recorder.stories.newest() {
			if len(list) == failuresMax {
				break
			}
			list = append(list, adminapi.Failure{At: l.since(f.at), ID: f.id.String(), Service: f.service, Code: f.code.String(), Reason: f.reason})
		}
	}) {
		return
	}
	reply(w, list)
}

func (a *admin) deadLetters(w http.ResponseWriter, _ *http.Request) {
	dead, err := a.b.DeadLetters()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, adminapi.CodeNotRunning, "the broker has stopped")
		return
	}
	list := make([]adminapi.DeadLetter, 0, len(dead))
	for i := range dead {
		list = append(list, letter(&dead[i], false))
	}
	reply(w, list)
}

func letter(d *DeadLetter, whole bool) adminapi.DeadLetter {
	l := adminapi.DeadLetter{ID: d.ID.String(), Service: d.Service, Code: d.Code.String(), Reason: d.Reason, Attempts: d.Attempt,
		Workers: d.Workers, Since: d.Since, AgeMS: time.Since(d.Since).Milliseconds()}
	if l.Workers == nil {
		l.Workers = []string{}
	}
	for _, f := range d.Frames {
		l.Bytes += len(f)
		if whole {
			l.Frames = append(l.Frames, base64.StdEncoding.EncodeToString(f))
		}
	}
	return l
}

func (a *admin) deadLetter(w http.ResponseWriter, r *http.Request) {
	id, ok := id(w, r)
	if !ok {
		return
	}
	dead, err := a.b.DeadLetters()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, adminapi.CodeNotRunning, "the broker has stopped")
		return
	}
	for i := range dead {
		if dead[i].ID == id {
			reply(w, letter(&dead[i], true))
			return
		}
	}
	done(w, false, ErrNoDeadLetter.Error())
}

func (a *admin) requeue(w http.ResponseWriter, r *http.Request) {
	id, ok := id(w, r)
	if !ok {
		return
	}
	switch fresh, err := a.b.Requeue(id); {
	case errors.Is(err, ErrNoDeadLetter):
		done(w, false, err.Error())
	case errors.Is(err, ErrNoRoom):
		refuse(w, http.StatusConflict, adminapi.CodeNoRoom, err.Error())
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, adminapi.CodeNotRunning, err.Error())
	default:
		reply(w, adminapi.Requeued{ID: fresh.String()})
	}
}

func (a *admin) dropDead(w http.ResponseWriter, r *http.Request) {
	id, ok := id(w, r)
	if !ok {
		return
	}
	switch err := a.b.Drop(id); {
	case errors.Is(err, ErrNoDeadLetter):
		done(w, false, err.Error())
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, adminapi.CodeNotRunning, err.Error())
	default:
		done(w, true, "")
	}
}

func (a *admin) drain(w http.ResponseWriter, _ *http.Request) {
	a.b.stopping.Store(true)
	a.b.drain()
	w.WriteHeader(http.StatusAccepted)
}

func (a *admin) logLevel(w http.ResponseWriter, _ *http.Request) {
	var level zerolog.Level
	if a.ask(w, func(l *loop) { level = l.cfg.Logger.GetLevel() }) {
		reply(w, adminapi.LogLevel{Level: level.String()})
	}
}

func (a *admin) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var want adminapi.LogLevel
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, adminapi.CodeTooLarge, "the body is over 4 KiB")
		return
	}
	if err == nil {
		err = json.Unmarshal(body, &want)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, adminapi.CodeBadRequest, `want {"level":"debug"}: `+clip(err.Error()))
		return
	}
	if want.Level == "off" { // as the command line calls it
		want.Level = zerolog.Disabled.String()
	}
	level, err := zerolog.ParseLevel(want.Level)
	if err != nil || want.Level == "" {
		refuse(w, http.StatusBadRequest, adminapi.CodeBadRequest, "level is "+clip(want.Level)+"; want trace, debug, info, warn, error or off")
		return
	}
	if a.ask(w, func(l *loop) { l.cfg.Logger = l.cfg.Logger.Level(level) }) {
		w.WriteHeader(http.StatusNoContent)
	}
}
