package broker

import (
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// metrics is what the loop counts for each service. What the core counts anyway
// is asked of it when somebody scrapes.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	wait     *prometheus.HistogramVec
	causes   *prometheus.CounterVec
	errors   *prometheus.CounterVec
	lag      prometheus.Histogram
	services map[string]*serviceMetrics
	max      int
	clock    stopwatch
	sweptAt  time.Duration // when a place was looked for last
}

// A serviceMetrics is one service's own, found once.
type serviceMetrics struct {
	name           string // as it is counted
	done, failed   uint64
	outcomes       [16]prometheus.Counter
	duration, wait prometheus.Observer
	recent         recent
	runs           runTimes
	used           time.Duration // when something of it was counted last
}

// otherService stands for the names beyond the bound.
const otherService = "(others)"

var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

func newMetrics(b *Broker) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), services: map[string]*serviceMetrics{}, max: 2 * b.cfg.MaxServices, clock: stopwatch{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "privateer_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "privateer_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.requests = counter("requests_total", "Requests that have their outcome.", "service", "outcome")
	m.duration = histogram("request_duration_seconds", "From the acceptance of a request to its outcome.", buckets, "service")
	m.wait = histogram("request_wait_seconds", "From the acceptance of a request to its first hand-over to a worker.", buckets, "service")
	m.causes = counter("redeliveries_total", "Hand-overs that were taken back, by cause.", "cause")
	m.errors = counter("protocol_errors_total", "Messages that broke the protocol, by kind.", "kind")
	m.lag = histogram("loop_lag_seconds", "How late a turn of the broker's loop began.", []float64{.001, .005, .01, .05, .1, .5, 1, 5}).WithLabelValues().(prometheus.Histogram)
	m.registry.MustRegister(&collector{b}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "privateer_build_info", Help: "Always 1; what was built is in the labels.",
		ConstLabels: prometheus.Labels{"version": b.cfg.Version, "commit": b.cfg.Commit, "go": runtime.Version()}})
	info.Set(1)
	m.registry.MustRegister(info)
	return m
}

func (m *metrics) service(now time.Duration, name string) *serviceMetrics {
	s := m.services[name]
	if s == nil && len(m.services) >= m.max && name != otherService && !m.makeRoom(now) {
		return m.service(now, otherService)
	}
	if s == nil {
		s = &serviceMetrics{name: name, duration: m.duration.WithLabelValues(name), wait: m.wait.WithLabelValues(name)}
		m.services[name] = s
	}
	s.used = now
	return s
}

// goneFor is how long nothing of a name must have been counted, for its place to be
// another's.
const goneFor = 10 * time.Minute

// makeRoom forgets the names that were not used for long. It looks once a second:
// somebody may make names up.
func (m *metrics) makeRoom(now time.Duration) bool {
	if now-m.sweptAt < time.Second {
		return false
	}
	m.sweptAt = now
	for name, s := range m.services {
		if now-s.used >= goneFor && name != otherService {
			delete(m.services, name)
			label := prometheus.Labels{"service": name}
			m.requests.DeletePartialMatch(label)
			m.duration.Delete(label)
			m.wait.Delete(label)
		}
	}
	return len(m.services) < m.max
}

// note counts one event.
func (m *metrics) note(now time.Duration, e *core.Event) {
	if unasked(e) {
		m.clock.stop(now, e.ID)
		return
	}
	switch e.What {
	case core.EventFinished:
		s := m.service(now, e.Service)
		s.done++
		if e.Code != protocol.OK {
			s.failed++
		}
		k := &s.outcomes[e.Code%16]
		if *k == nil {
			*k = m.requests.WithLabelValues(s.name, strings.ToLower(e.Code.String()))
		}
		(*k).Inc()
		s.duration.Observe(e.Took.Seconds())
		if e.Code != protocol.Cancelled {
			s.recent.add(now, e.Code != protocol.OK)
		}
		if took, ok := m.clock.stop(now, e.ID); ok && (e.Code == protocol.OK || e.Code == protocol.Failed) {
			s.runs.add(took)
		}
	case core.EventHandedOut:
		m.clock.start(now, e.ID)
		if e.Attempt == 1 {
			m.service(now, e.Service).wait.Observe(e.Took.Seconds())
		}
	case core.EventForgotten, core.EventRefused: // the latter of a request that was open until now, in rare cases
		m.clock.stop(now, e.ID)
	case core.EventRequeued:
		m.clock.stop(now, e.ID)
		m.causes.WithLabelValues(strings.ReplaceAll(e.Reason, " ", "_")).Inc()
	}
}

// broke counts a message that could not be taken.
func (m *metrics) broke(err error) {
	kind := "unknown"
	if e, ok := err.(*protocol.Error); ok { //nolint:errorlint // Read returns it bare
		kind = e.Kind.String()
	}
	m.errors.WithLabelValues(kind).Inc()
}

// A collector asks the loop when somebody scrapes.
type collector struct{ b *Broker }

// Describe sends nothing: what there is depends on the services there are.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("privateer_"+name, help, labels, nil)
}

var (
	descQueueDepth  = desc("queue_depth", "Requests that wait in the queue of a service.", "service")
	descQueueOldest = desc("queue_oldest_seconds", "Age of the oldest request that waits; 0 when none does.", "service")
	descRunning     = desc("requests_running", "Requests that workers hold.", "service")
	descRunOldest   = desc("run_oldest_seconds", "How long a worker has had what it has had for longest; 0 when none runs.", "service")
	descHangAfter   = desc("run_hanging_after_seconds", "From when on a run of the service is taken to hang: ten times its 99th percentile.", "service")
	descPaused      = desc("service_paused", "1 while the service is paused.", "service")
	descWorkers     = desc("workers", "Registered workers, by state.", "state")
	descLive        = desc("service_workers", "Live workers of a service.", "service")
	descDrops       = desc("drops_total", "Messages that were not used or not delivered, by reason.", "reason")
	descRefused     = desc("refused_total", "Requests that were not taken in, by outcome.", "outcome")
	descLate        = desc("late_replies_total", "Late replies that were used.")
	descFalse       = desc("false_suspicions_total", "Workers that were given up, and then answered.")
	descReplays     = desc("replays_total", "Finished outcomes that were repeated.")
	descLost        = desc("workers_lost_total", "Workers that were given up.")
	descUndeliv     = desc("undeliverable_total", "Messages for a peer that was not connected, or did not read.")
	descDead        = desc("dead_letters", "Dead letters that are kept.")
	descDeadBytes   = desc("dead_bytes", "Bytes that the dead letters take that are kept: 300 each, their bodies and fields.")
	descQueueBytes  = desc("queue_bytes", "Bytes that open requests take: 300 each, their bodies, fields and frames.")
	descIDs         = desc("ids", "Ids of finished requests that are remembered.")
	descParts       = desc("parts_total", "Parts of replies that were handed on.")
	descBusy        = desc("loop_busy_ratio", "Part of the last ten seconds in which the loop worked.")
	descBound       = desc("bound_used_ratio", "How much of a bound is used, 0 to 1: requests (--max-queue), bytes (--max-queue-bytes), ids, workers (--max-peers), services (--max-services: of names with workers and names without, whichever are more).", "bound")
	descConnections = desc("connections", "Connections whose handshake is done. Of transport zmtp, as all that names a port.", "port")
	descHandshakes  = desc("handshakes", "Connections whose handshake is under way.", "port")
	descLinkBytes   = desc("link_bytes", "Bytes that wait on connections: in, to be read by the broker; out, to be read by peers; unfinished, of messages that are not whole.", "port", "way")
	descAccepted    = desc("connections_accepted_total", "Connections that were accepted.", "port")
	descCut         = desc("connections_cut_total", "Connections that the broker has ended, by reason.", "port", "reason")
	descPeerFull    = desc("peer_full_total", "Messages that were refused because as much waited for their peer as may.", "port")
	descReadPauses  = desc("read_pauses_total", "Times that reading from a connection has paused because as much as may waits to be read, of it or of all.", "port")
	descPauses      = desc("accepting_pauses_total", "Times that accepting has paused, for want of descriptors or memory.", "port")
	descLogLost     = desc("log_lines_lost_total", "Lines of the broker's log that could not be written, or not as fast as they came.")
	descDraining    = desc("draining", "1 while the broker drains.")
)

// Collect is called by whoever scrapes, on its own goroutine.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	var v view
	if c.b.ask(func(l *loop) { v = l.view() }) != nil {
		return
	}
	gauge := func(d *prometheus.Desc, x float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, x, labels...)
	}
	count := func(d *prometheus.Desc, x uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(x), labels...)
	}
	for i := range v.services {
		s := &v.services[i]
		gauge(descQueueDepth, float64(s.Queued), s.Name)
		gauge(descQueueOldest, s.Oldest.Seconds(), s.Name)
		gauge(descRunning, float64(s.Running), s.Name)
		gauge(descLive, float64(s.Workers), s.Name)
		gauge(descPaused, number(s.Paused), s.Name)
		h := v.health[s.Name]
		gauge(descRunOldest, h.oldest.Held.Seconds(), s.Name)
		gauge(descHangAfter, h.hangAfter.Seconds(), s.Name)
	}
	states := map[string]int{"up": 0, "draining": 0, "suspected": 0}
	for i := range v.workers {
		states[v.workers[i].State]++
	}
	for state, n := range states {
		gauge(descWorkers, float64(n), strings.ReplaceAll(state, " ", "_"))
	}
	undeliverable := uint64(0)
	for reason, n := range v.drops {
		count(descDrops, n, string(reason))
		if reason == core.DropClientGone || reason == core.DropWorkerGone || reason == core.DropWorkerFull {
			undeliverable += n
		}
	}
	for code, n := range v.counters.Refused {
		if n > 0 || protocol.Code(code) == protocol.Overloaded { // a rate needs a 0 to begin with
			count(descRefused, n, strings.ToLower(protocol.Code(code).String()))
		}
	}
	count(descUndeliv, undeliverable)
	lost := uint64(0)
	if c.b.cfg.LogLost != nil {
		lost = c.b.cfg.LogLost()
	}
	count(descLogLost, lost)
	count(descLate, v.counters.LateRepliesUsed)
	count(descFalse, v.counters.FalseSuspicions)
	count(descReplays, v.counters.Replayed)
	count(descLost, v.counters.WorkersLost)
	count(descParts, v.counters.Parts)
	gauge(descDead, float64(v.gauges.DeadLetters))
	gauge(descDeadBytes, float64(v.gauges.DeadBytes))
	gauge(descQueueBytes, float64(v.gauges.QueueBytes))
	gauge(descIDs, float64(v.gauges.IDs))
	gauge(descBusy, v.busy)
	gauge(descDraining, number(v.gauges.Draining))
	collectLinks(v.links, gauge, count)
	cfg, g := &c.b.cfg, &v.gauges
	for bound, used := range map[string]float64{
		"requests": float64(g.Open) / float64(cfg.MaxQueue),
		"bytes":    float64(g.QueueBytes) / float64(cfg.MaxQueueBytes),
		"ids":      float64(g.IDs+g.Open) / float64(cfg.MaxIDs),
		"workers":  float64(g.Workers) / float64(cfg.MaxPeers),
		"services": float64(max(g.Served, g.Services-g.Served)) / float64(cfg.MaxServices),
	} {
		gauge(descBound, used, bound)
	}
}

// collectLinks tells of the connections.
func collectLinks(links map[string]link.Stats, gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64, ...string)) {
	for port := range links {
		s := links[port]
		gauge(descConnections, float64(s.Connections), port)
		gauge(descHandshakes, float64(s.Handshakes), port)
		for way, n := range map[string]int64{"in": s.BytesToRead, "out": s.BytesToSend, "unfinished": s.Unfinished} {
			gauge(descLinkBytes, float64(n), port, way)
		}
		count(descAccepted, s.Accepted, port)
		for reason, n := range map[string]uint64{
			"bad_handshake": s.BadHandshakes, "late_handshake": s.LateHandshakes, "many_handshakes": s.ManyHandshakes,
			"malformed": s.Malformed, "large_frame": s.LargeFrames, "long_message": s.LongMessages,
			"unfinished": s.UnfinishedCut, "slow": s.SlowCut, "taken_id": s.TakenIDs, "silent": s.SilentCut,
		} {
			count(descCut, n, port, reason)
		}
		count(descPeerFull, s.Full, port)
		count(descReadPauses, s.ReadPauses, port)
		count(descPauses, s.AcceptingPauses, port)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// A pace is how late and how busy the loop was in the last seconds.
type pace struct {
	now, before paceSpan
	end         time.Duration
}

type paceSpan struct {
	lag, worked, whole time.Duration
}

// paceEach is half of what a pace looks back.
const paceEach = 5 * time.Second

// turned notes a turn that began late by lag, worked so long, and waited before.
func (p *pace) turned(now, lag, worked, waited time.Duration) {
	if now >= p.end {
		p.before, p.now, p.end = p.now, paceSpan{}, now+paceEach
	}
	p.now.lag = max(p.now.lag, lag)
	p.now.worked += worked
	p.now.whole += worked + waited
}

func (p *pace) lag() time.Duration { return max(p.now.lag, p.before.lag) }

func (p *pace) busy() float64 {
	if whole := p.now.whole + p.before.whole; whole > 0 {
		return float64(p.now.worked+p.before.worked) / float64(whole)
	}
	return 0
}
