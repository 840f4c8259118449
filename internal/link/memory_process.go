package link

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A Process stands for an operating-system process, to be killed or stopped: it
// is made of the memory hosts whose endpoints its Endpoint has returned. Its
// methods are safe for concurrent use and never block.
type Process struct {
	number uint64

	// Guarded by network's lock.
	hosts  []*memoryHost
	frozen chan struct{} // closed by Thaw and Kill; nil while the process runs
	killed bool
}

// NewProcess returns a process that lives until Kill. Within a testing/synctest
// bubble it belongs to that.
func NewProcess() *Process {
	network.Lock()
	defer network.Unlock()
	network.processes++
	p := &Process{number: network.processes}
	network.alive[p.number] = p
	return p
}

// Endpoint returns endpoint, a mem:// one, as one that p's hosts open: with a
// key "process". A router's peers need not know it.
func (p *Process) Endpoint(endpoint string) string {
	sign := "?"
	if slices.Contains([]byte(endpoint), '?') {
		sign = "&"
	}
	return endpoint + sign + processKey + "=" + strconv.FormatUint(p.number, 10)
}

// Freeze is SIGSTOP: whichever goroutine next touches a host of p, or a link of
// it, stands still until Thaw. Connections last, and peers can send until the
// queues are full. It has no effect on what is frozen or killed.
func (p *Process) Freeze() {
	network.Lock()
	defer network.Unlock()
	if p.frozen == nil && !p.killed {
		p.frozen = make(chan struct{})
	}
}

// Thaw is SIGCONT.
func (p *Process) Thaw() {
	network.Lock()
	defer network.Unlock()
	p.thaw()
}

func (p *Process) thaw() {
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// Kill is SIGKILL: at this instant the connections of p end, and what is under
// way or was not read by p is lost; what has arrived from p is still read. Its
// hosts are closed: their methods return ErrClosed, and so does Open later.
func (p *Process) Kill() {
	network.Lock()
	defer network.Unlock()
	p.killed = true
	delete(network.alive, p.number)
	p.thaw()
	now := time.Now()
	for _, h := range slices.Clone(p.hosts) {
		h.close(now, false)
		h.ring()
	}
}

// join makes h one of the process's hosts, whose number an endpoint has named.
func (h *memoryHost) join(number uint64) error {
	p := network.alive[number]
	switch {
	case p == nil:
		return fmt.Errorf("process %d is not alive: %w", number, ErrClosed)
	case h.process == nil:
		h.process = p
		p.hosts = append(p.hosts, h)
	case h.process != p:
		return fmt.Errorf("process %d: the host belongs to process %d already: open all of its endpoints for one", number, h.process.number)
	}
	return nil
}

// enter locks the network for h's owner. It blocks while h's process is frozen.
func (h *memoryHost) enter() {
	for {
		network.Lock()
		if h.process == nil || h.process.frozen == nil {
			return
		}
		thawed := h.process.frozen
		network.Unlock()
		<-thawed
	}
}
