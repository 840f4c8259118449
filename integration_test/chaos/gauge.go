package main

import (
	"bufio"
	"bytes"
	"context"
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
