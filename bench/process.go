package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is one child: a broker, the clients or the workers.
type process struct {
	name   string
	cmd    *exec.Cmd
	out    bytes.Buffer
	errs   bytes.Buffer
	lines  chan string // from its control descriptor; closed when it ends
	ended  chan error
	before ticks
	after  func() // once it has ended; may be nil
}

// start starts a command. Its control descriptor is read until it ends.
func start(name string, argv ...string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan string, 8), ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = &p.out, &p.errs, []*os.File{w}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = p.cmd.Start()
	_ = w.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), r.Close())
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.lines <- s.Text()
		}
		_ = r.Close()
	}()
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// child starts this program in another role.
func child(role string, config any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	return start(role, self, "child", role, string(text))
}

// await waits for a line on the control descriptor.
func (p *process) await(line string, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case got, ok := <-p.lines:
		if ok && got == line {
			return nil
		}
		return fmt.Errorf("%s ended before it said %q: %s", p.name, line, strings.TrimSpace(p.errs.String()))
	case <-timer.C:
		return fmt.Errorf("%s did not say %q within %v", p.name, line, d)
	}
}

// result waits for the process to end and reads what it printed as JSON.
func (p *process) result(d time.Duration, v any) error {
	select {
	case err := <-p.ended:
		p.ended <- err
		if err != nil {
			return fmt.Errorf("%s: %w: %s", p.name, err, strings.TrimSpace(p.errs.String()))
		}
		return json.Unmarshal(p.out.Bytes(), v)
	case <-time.After(d):
		return fmt.Errorf("%s did not end within %v", p.name, d)
	}
}

// stop ends the process, whatever it does.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	err := <-p.ended
	p.ended <- err
	if p.after != nil {
		p.after()
	}
}

// ticks is the processor time of a process, user and system, in seconds.
type ticks float64

// used reads what the process has used so far.
func (p *process) used() ticks {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return ticks((user + system) / 100) // USER_HZ is 100 on Linux
}

// status reads one number of /proc/PID/status, in MiB.
func (p *process) status(key string) float64 {
	f, err := os.Open("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	text, _ := io.ReadAll(f)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n / 1024
		}
	}
	return 0
}
