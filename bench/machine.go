package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine names what is measured on: cores, processor, kernel.
func machine() string {
	model := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores, %s, Linux %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), runtime.Version())
}

// A clock is the processor time of the whole machine, in seconds.
type clock struct{ busy, all float64 }

// readClock reads /proc/stat. What the hypervisor gives to other machines is
// busy: it is not there for us either. Interrupts are not: most of them are the
// packets of those who are measured.
func readClock() clock {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	return parseClock(line)
}

func parseClock(line string) (c clock) {
	f := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal guest guest_nice
	for i := 1; i < min(len(f), 9); i++ {
		n, _ := strconv.ParseFloat(f[i], 64)
		c.all += n / 100 // USER_HZ
		if i <= 3 || i == 8 {
			c.busy += n / 100
		}
	}
	return c
}

// others is the share of the machine's processor time since before that went
// to other programs than those that used the seconds of ours.
func (c clock) others(before clock, ours float64) float64 {
	if c.all <= before.all {
		return 0
	}
	return max(0, (c.busy-before.busy-ours)/(c.all-before.all))
}

// established counts the connections that are open at a broker's TCP ports.
func established(at ports) (n int, err error) {
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	local := map[string]bool{}
	for _, endpoint := range []string{at.Front, at.Back} {
		port, err := strconv.Atoi(endpoint[strings.LastIndex(endpoint, ":")+1:])
		if err != nil {
			return 0, fmt.Errorf("the port of %s: %w", endpoint, err)
		}
		local[fmt.Sprintf("0100007F:%04X", port)] = true // 127.0.0.1
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && local[f[1]] && f[3] == "01" { // TCP_ESTABLISHED
			n++
		}
	}
	return n, nil
}
