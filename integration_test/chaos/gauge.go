package main

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

const gaugeEvery = 250 * time.Millisecond

// gauge notes again and again what this process holds, until ctx ends.
func gauge(ctx context.Context, w *history.Writer) {
	tick := time.NewTicker(gaugeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.Add(history.Event{Kind: history.Gauge, FDs: openFiles(), Goroutines: runtime.NumGoroutine(), PeakRSS: peakRSS()})
		case <-ctx.Done():
			return
		}
	}
}

const countEvery = time.Second

// count notes again and again whom the bounds of a broker's connections have met,
// until ctx ends.
func count(ctx context.Context, w *history.Writer, metrics string) {
	client := &http.Client{Timeout: attackPatient, Transport: &http.Transport{DisableKeepAlives: true}}
	every(ctx, countEvery, func() {
		if counters := readCounters(ctx, client, metrics); counters != nil {
			w.Add(history.Event{Kind: history.Count, Counters: counters})
		}
	})
}

// readCounters adds up what the two ports have counted; nil if nobody says.
func readCounters(ctx context.Context, client *http.Client, metrics string) map[string]int {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, metrics, nil)
	if err != nil {
		return nil
	}
	answer, err := client.Do(ask)
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	counters := map[string]int{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		for _, c := range []struct{ name, prefix string }{{"privateer_connections_cut_total{", "cut "}, {"privateer_peer_full_total{", "full"}} {
			labels, value, _ := strings.Cut(lines.Text(), "} ")
			if !strings.HasPrefix(labels, c.name) {
				continue
			}
			name := c.prefix
			if _, reason, found := strings.Cut(labels, `reason="`); found {
				name += strings.TrimSuffix(reason, `"`)
			}
			n, _ := strconv.ParseFloat(value, 64)
			counters[name] += int(n)
		}
	}
	return counters
}

// openFiles is the number of open files; 0 where the system does not say.
func openFiles() int {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0
	}
	return len(names) - 1 // without d
}

// peakRSS is the largest resident set so far, in bytes; 0 where the system
// does not say.
func peakRSS() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
