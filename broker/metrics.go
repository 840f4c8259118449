package broker

import (
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/privateer-mq/privateer/internal/core"
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
}

// A serviceMetrics is one service's own, found once.
type serviceMetrics struct {
	done, failed   uint64
	outcomes       [16]prometheus.Counter
	duration, wait prometheus.Observer
}

// otherService stands for the names beyond the bound.
const otherService = "(others)"

var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

func newMetrics(b *Broker) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), services: map[string]*serviceMetrics{}, max: 2 * b.cfg.MaxServices}
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

func (m *metrics) service(name string) *serviceMetrics {
	if s := m.services[name]; s != nil {
		return s
	}
	if len(m.services) >= m.max && name != otherService {
		return m.service(otherService)
	}
	s := &serviceMetrics{duration: m.duration.WithLabelValues(name), wait: m.wait.WithLabelValues(name)}
	m.services[name] = s
	return s
}

// note counts one event.
func (m *metrics) note(e *core.Event) {
	switch e.What {
	case core.EventFinished:
		s := m.service(e.Service)
		s.done++
		if e.Code != protocol.OK {
			s.failed++
		}
		k := &s.outcomes[e.Code%16]
		if *k == nil {
			*k = m.requests.WithLabelValues(e.Service, strings.ToLower(e.Code.String()))
		}
		(*k).Inc()
		s.duration.Observe(e.Took.Seconds())
	case core.EventHandedOut:
		if e.Attempt == 1 {
			m.service(e.Service).wait.Observe(e.Took.Seconds())
		}
	case core.EventRequeued:
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
	descQueueBytes  = desc("queue_bytes", "Bytes of the bodies of open requests.")
	descIDs         = desc("ids", "Ids of finished requests that are remembered.")
	descParts       = desc("parts_total", "Parts of replies that were handed on.")
	descBusy        = desc("loop_busy_ratio", "Part of the last ten seconds in which the loop worked.")
	descBound       = desc("bound_used_ratio", "How much of a bound is used, 0 to 1: requests (--max-queue), bytes (--max-queue-bytes), ids, workers (--max-peers), services.", "bound")
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
	count(descLate, v.counters.LateRepliesUsed)
	count(descFalse, v.counters.FalseSuspicions)
	count(descReplays, v.counters.Replayed)
	count(descLost, v.counters.WorkersLost)
	count(descParts, v.counters.Parts)
	gauge(descDead, float64(v.gauges.DeadLetters))
	gauge(descQueueBytes, float64(v.gauges.QueueBytes))
	gauge(descIDs, float64(v.gauges.IDs))
	gauge(descBusy, v.busy)
	gauge(descDraining, number(v.gauges.Draining))
	cfg, g := &c.b.cfg, &v.gauges
	for bound, used := range map[string]float64{
		"requests": float64(g.Open) / float64(cfg.MaxQueue),
		"bytes":    float64(g.QueueBytes) / float64(cfg.MaxQueueBytes),
		"ids":      float64(g.IDs+g.Open) / float64(cfg.MaxIDs),
		"workers":  float64(g.Workers) / float64(cfg.MaxPeers),
		"services": float64(g.Services) / float64(cfg.MaxServices),
	} {
		gauge(descBound, used, bound)
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
