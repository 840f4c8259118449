//go:build unix

package demo

import (
	"bytes"
	"encoding/json"
	"sync"
)

// A log takes the JSON log of one process: it keeps the last line, and the
// endpoints that a broker says it listens on. It is safe for concurrent use.
type log struct {
	listening chan struct{} // closed when the endpoints are known

	mu          sync.Mutex
	part        []byte // a line not yet whole
	line        string
	front, back string
}

func newLog() *log { return &log{listening: make(chan struct{})} }

// Write takes any part of the log.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, b...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.take(line)
		l.part = rest
	}
}

func (l *log) take(line []byte) {
	l.line = string(line)
	var entry struct{ Frontend, Backend string }
	if l.front != "" || json.Unmarshal(line, &entry) != nil || entry.Frontend == "" {
		return
	}
	l.front, l.back = entry.Frontend, entry.Backend
	close(l.listening)
}

func (l *log) endpoints() (front, back string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.front, l.back
}

func (l *log) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}
