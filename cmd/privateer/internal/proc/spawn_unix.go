//go:build unix && !linux

package proc

import (
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// spawn starts cmd. There is no PR_SET_PDEATHSIG here: without a guard a process
// outlives a worker that was killed with SIGKILL.
func spawn(cmd *exec.Cmd) error { return cmd.Start() }

// reap waits for the leader's end, then sweeps its group.
func (p *Process) reap() error {
	err := p.cmd.Wait()
	p.sweep()
	return err
}

// adopt does nothing: there are no subreapers here, and orphans go to the first
// process.
func (s *Set) adopt() {}

// killTree does nothing: other processes' environments cannot be read here.
func killTree(string) {}

// AwaitStopped waits until a process that was sent SIGSTOP has stopped. It
// reports whether that came true in time.
func (p *Process) AwaitStopped() bool {
	for end := time.Now().Add(stopTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(p.Pid())).Output()
		if err == nil && strings.HasPrefix(strings.TrimSpace(string(state)), "T") {
			return true
		}
	}
	return false
}
