//go:build unix

package demo

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// A runLog is the file in which the workers' commands note what they run.
type runLog struct{ path string }

// runs are the runs noted so far, by request id: the process id of the worker
// of each, in order of their start.
type runs struct {
	workers map[string][]int
	begun   map[run]int // starts without an end
}

type run struct {
	id     string
	worker int
}

// read reads the log. A log that is not there yet is empty.
func (l *runLog) read() runs {
	r := runs{workers: make(map[string][]int), begun: make(map[run]int)}
	text, err := os.ReadFile(l.path)
	if err != nil {
		return r
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			continue
		}
		pid, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		if f[0] == "start" {
			r.workers[f[1]] = append(r.workers[f[1]], pid)
			r.begun[run{f[1], pid}]++
		} else {
			r.begun[run{f[1], pid}]--
		}
	}
	return r
}

// heldBy lists the requests whose run at a worker has begun and not ended.
func (r runs) heldBy(pid int) []string {
	var ids []string
	for k, n := range r.begun {
		if k.worker == pid && n > 0 {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// count is the number of runs at one worker.
func (r runs) count(pid int) int {
	n := 0
	for _, list := range r.workers {
		for _, p := range list {
			if p == pid {
				n++
			}
		}
	}
	return n
}

// repeated is the number of runs beyond the first of each request.
func (r runs) repeated() int {
	n := 0
	for _, list := range r.workers {
		n += len(list) - 1
	}
	return n
}

// movedFrom reports whether a request ran at another worker too.
func (r runs) movedFrom(id string, pid int) bool {
	for _, p := range r.workers[id] {
		if p != pid {
			return true
		}
	}
	return false
}
