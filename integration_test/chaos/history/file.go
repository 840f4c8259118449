package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const suffix = ".jsonl"

// LogSuffix ends the names of the files that take the processes' stderr.
const LogSuffix = ".log"

// Now is CLOCK_MONOTONIC in nanoseconds: the same for all processes of this
// machine, also while they are stopped.
func Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // there is no system without it
	}
	return ts.Nano()
}

// A Writer appends to the history of one process. Safe for concurrent use.
type Writer struct {
	proc string
	mu   sync.Mutex
	file *os.File
	err  error // the first one
}

// NewWriter opens the history of the process proc in dir.
func NewWriter(dir, proc string) (*Writer, error) {
	f, err := os.OpenFile(filepath.Join(dir, proc+suffix), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &Writer{proc: proc, file: f}, nil
}

// Add writes e, and returns when the kernel has it. The time is now unless it
// is set, and the process the writer's own.
func (w *Writer) Add(e Event) {
	if e.T == 0 {
		e.T = Now()
	}
	if e.Proc == "" {
		e.Proc = w.proc
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = w.file.Write(append(line, '\n'))
	}
	if err != nil && w.err == nil {
		w.err = err
	}
}

// Close closes the file, and returns the first error there was.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.file.Close(); w.err == nil {
		w.err = err
	}
	return w.err
}

// Read reads all histories of dir, in the order of time, and looks for crashes
// in the logs beside them.
func Read(dir string) (events []Event, crashes []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch {
		case strings.HasSuffix(path, suffix):
			events, err = readFile(path, events)
		case strings.HasSuffix(path, LogSuffix):
			var why string
			if why, err = crashIn(path); why != "" {
				crashes = append(crashes, entry.Name()+": "+why)
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].T < events[j].T })
	return events, crashes, nil
}

func readFile(path string, events []Event) ([]Event, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range bytes.Lines(text) {
		if n++; !bytes.HasSuffix(line, []byte("\n")) {
			break // SIGKILL came in the middle of the last line
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// crashSigns begin the line with which a process says that it crashed.
var crashSigns = []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "Assertion failed", "unexpected fault address", "SIGSEGV", "SIGABRT"}

// crashIn returns the first line of a crash in a log, "" if there is none.
func crashIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if slices.ContainsFunc(crashSigns, func(sign string) bool { return strings.HasPrefix(line, sign) }) {
			return strings.TrimSpace(line), nil
		}
	}
	return "", nil
}
